"""Exact decoding: pressures that can be proven from u_in alone (docs/decoder.md). Start at `decode`."""

from ventilator.decoder.decode import decode, state, state_and_gaps
from ventilator.decoder.file_decoding import decode_file
from ventilator.decoder.open_gaps import OpenGaps
from ventilator.decoder.state import DecoderState

__all__ = ["DecoderState", "OpenGaps", "decode", "decode_file", "state", "state_and_gaps"]

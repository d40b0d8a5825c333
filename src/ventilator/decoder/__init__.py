"""Exact decoding: pressures that can be proven from u_in alone (docs/decoder.md). Start at `decode`."""

from ventilator.decoder.decode import decode, state
from ventilator.decoder.file_decoding import decode_file
from ventilator.decoder.state import DecoderState

__all__ = ["DecoderState", "decode", "decode_file", "state"]

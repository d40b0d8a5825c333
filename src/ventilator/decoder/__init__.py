"""Exact decoding: pressures that can be proven from u_in alone (docs/decoder.md). Start at `decode`.

Modules are imported when they are asked for: compiled code takes a second to import, and whoever only checks a table,
or reads rows that are decoded already, needs none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ventilator.decoder.decoder_state import DecoderState
    from ventilator.decoder.file_decoding import decode_file
    from ventilator.decoder.frame_decoding import decode, state, state_and_gaps
    from ventilator.decoder.open_gaps import OpenGaps

__all__ = ["DecoderState", "OpenGaps", "decode", "decode_file", "state", "state_and_gaps"]

_PLACES = {  # name -> module that has it
    "DecoderState": "decoder_state",
    "OpenGaps": "open_gaps",
    "decode_file": "file_decoding",
    **dict.fromkeys(("decode", "state", "state_and_gaps"), "frame_decoding"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)

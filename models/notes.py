"""Notes of contacts: what free text may be one. `crypto.free_text` seals them."""

import re

NOTE_CHARS_MAX = 2000

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def fault_of(text: str) -> str | None:
    """Why a text cannot be a note; lines and tabs are welcome, other control characters are not."""
    if not text.strip():
        return "required_missing"
    if len(text) > NOTE_CHARS_MAX:
        return "too_long"
    return "control_character" if _CONTROL.search(text) else None

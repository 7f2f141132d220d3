"""What kind of file it is, by its first bytes: what it calls itself is not asked."""

import re
from typing import Final

HEAD_BYTES = 512  # enough to tell

PDF, PNG, JPEG, TEXT = "application/pdf", "image/png", "image/jpeg", "text/plain"
MP3, M4A, WAV, OGG = "audio/mpeg", "audio/mp4", "audio/wav", "audio/ogg"
SUFFIXES: Final = {
    PDF: "pdf",
    PNG: "png",
    JPEG: "jpg",
    TEXT: "txt",
    MP3: "mp3",
    M4A: "m4a",
    WAV: "wav",
    OGG: "ogg",
}
_SIGNATURES: Final = (
    (re.compile(rb"%PDF-"), PDF),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PNG),
    (re.compile(rb"\xff\xd8\xff"), JPEG),
    (re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"), MP3),
    (re.compile(rb"....ftyp(M4A |M4B |mp42|isom)", re.S), M4A),
    (re.compile(rb"RIFF....WAVE", re.S), WAV),
    (re.compile(rb"OggS"), OGG),
)
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def media_type_of(head: bytes) -> str | None:
    """The media type of a file that begins so; None for what is no document here."""
    for signature, media_type in _SIGNATURES:
        if signature.match(head):
            return media_type
    return TEXT if head and _is_text(head) else None


def _is_text(head: bytes) -> bool:
    """As UTF-8 or GB18030; the last character may be cut off."""
    for encoding in ("utf-8", "gb18030"):
        for end in range(len(head), max(len(head) - 4, 0), -1):
            try:
                return not _NO_TEXT.search(head[:end].decode(encoding))
            except UnicodeDecodeError:
                continue
    return False

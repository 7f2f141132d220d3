"""One case's field class, sealed so that it opens in its own place alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto import cobblestone
from crypto.canonical import Json, canonical
from crypto.errors import CryptoError, SealBroken, ValueRefused
from crypto.secret import Secret

PAD_BYTES = 64

_CASE_LABEL = b"consign/case/1\x00"
_CELL_LABEL = b"consign/cell/1\x00"


class CellName(NamedTuple):
    """Where a cell belongs: ids as raw bytes, the field class, and the version counted from 1."""

    portfolio_id: bytes
    case_reference: bytes
    field_class: str
    version: int

    def context(self) -> bytes:
        return b"".join((
            _CELL_LABEL, lp(self.portfolio_id), lp(self.case_reference),
            lp(self.field_class.encode()), lp(b"%d" % self.version),
        ))  # fmt: skip


def lp(value: bytes) -> bytes:
    """The value behind its length in 4 big-endian bytes, so that neighbours never run together."""
    return len(value).to_bytes(4) + value


def case_key(class_key: Secret, portfolio_id: bytes, case_reference: bytes, case_salt: bytes) -> Secret:
    """The 32-byte key of one case in one field class; without the case's salt it is gone."""
    info = _CASE_LABEL + lp(portfolio_id) + lp(case_reference) + lp(case_salt)
    return Secret(HKDFExpand(SHA512(), 32, info).derive(class_key.reveal()))


def seal_cell(key: Secret, name: CellName, fields: dict[str, Json]) -> bytes:
    """Seal fields under their case key; `ValueRefused` for what is not strings and integers in arrays and objects."""
    if _holds_null(fields):
        raise ValueRefused("a NoneType cannot be sealed")
    return cobblestone.seal(key.reveal(), name.context(), _pad(canonical(fields)))


def open_cell(key: Secret, name: CellName, sealed: bytes) -> dict[str, Any]:
    """The fields, or `SealBroken`."""
    text = _unpad(cobblestone.open_(key.reveal(), name.context(), sealed))
    try:
        fields = json.loads(text)
        if isinstance(fields, dict) and canonical(fields) == text and not _holds_null(fields):
            return fields
    except (ValueError, RecursionError, CryptoError):
        pass  # Raised below, outside: the parser's error carries the plaintext.
    raise SealBroken


class CellSealer:
    """Seals the cells of many cases of one portfolio, doing once what they share."""

    def __init__(self, portfolio_id: bytes, class_keys: Mapping[str, Secret]) -> None:
        self._cell_prefix = _CELL_LABEL + lp(portfolio_id)
        self._classes = {
            name: (_expand_of(key, _CASE_LABEL + lp(portfolio_id)), lp(name.encode()) + lp(b"1"))
            for name, key in class_keys.items()
        }

    def seal_cases(
        self, case_references: Sequence[bytes], case_salts: Sequence[bytes], texts: Mapping[str, Sequence[bytes | None]]
    ) -> dict[str, list[bytes | None]]:
        """Version 1 of each class for each case, by class name, in the order of the cases.

        A text is a class's fields as `canonical` spells them, None where the case has none: then it has no cell.
        """
        cases = [
            (lp(reference) + lp(salt) + b"\x01", self._cell_prefix + lp(reference))
            for reference, salt in zip(case_references, case_salts, strict=True)
        ]
        return {name: list(self._cells(name, cases, class_texts)) for name, class_texts in texts.items()}

    def _cells(
        self, name: str, cases: list[tuple[bytes, bytes]], texts: Sequence[bytes | None]
    ) -> Iterator[bytes | None]:
        start, context_tail = self._classes[name]
        for (info_tail, context_head), text in zip(cases, texts, strict=True):
            if text is None:
                yield None
                continue
            expand = start.copy()
            expand.update(info_tail)
            yield cobblestone.seal(expand.finalize()[:32], context_head + context_tail, _pad(text))


def _expand_of(key: Secret, info_head: bytes) -> HMAC:
    """HKDF-Expand's first block is HMAC(key, info ‖ 0x01): its keyed start, the same for every case."""
    start = HMAC(key.reveal(), SHA512())
    start.update(info_head)
    return start


def _holds_null(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    return any(map(_holds_null, value)) if isinstance(value, list | tuple) else value is None


def _pad(text: bytes) -> bytes:
    return (text + b"\x80").ljust(len(text) // PAD_BYTES * PAD_BYTES + PAD_BYTES, b"\x00")


def _unpad(padded: bytes) -> bytes:
    text = padded.rstrip(b"\x00")
    if not text.endswith(b"\x80") or _pad(text[:-1]) != padded:
        raise SealBroken
    return text[:-1]

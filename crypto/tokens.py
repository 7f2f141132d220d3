"""The blind index: equal values give equal tokens under one lender's key, and nothing else can be read."""

import hmac
import re
from collections.abc import Callable, Iterable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from crypto.errors import ValueRefused
from crypto.plain import plain
from crypto.secret import Secret

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_ID = re.compile(r"[0-9]{17}[0-9X]").fullmatch
_ID_OLD = re.compile(r"[0-9]{15}").fullmatch
_MOBILE = re.compile(r"(?:\+?86|0086)?(1[3-9][0-9]{9})").fullmatch


def token(index_key: Secret, kind: str, value: str) -> bytes:
    """HMAC-SHA-256 (32 bytes) over `kind ‖ 0x00 ‖ normalised value`; `ValueRefused` where it has no normal form."""
    return hmac.digest(index_key.reveal(), kind.encode() + b"\x00" + normalise(kind, value).encode(), "sha256")


def tokens(index_key: Secret, kind: str, values: Iterable[str | None]) -> list[bytes | None]:
    """The `token` of each value, None for None."""
    start = HMAC(index_key.reveal(), SHA256())
    start.update(kind.encode() + b"\x00")

    def of(value: str) -> bytes:
        keyed = start.copy()
        keyed.update(normalise(kind, value).encode())
        return keyed.finalize()

    return [None if value is None else of(value) for value in values]


def normalise(kind: str, value: str) -> str:
    """The one spelling of a value: an id's 18 characters, a mobile's 11 digits."""
    normal_form = NORMAL_FORMS.get(kind)
    normal = normal_form(value) or normal_form(_bare(value)) if normal_form else None
    if normal is None:
        raise ValueRefused(f"no {kind} to index")
    return normal


def id_of_18(old: str) -> str:
    """The 18-character form of a 15-digit resident id: century 19 and the check character of GB 11643."""
    body = old[:6] + "19" + old[6:]
    return body + _ID_CHECKS[sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True)) % 11]


def _resident_id(value: str) -> str | None:
    if _ID(value):
        return value
    return id_of_18(value) if _ID_OLD(value) else None


def _mobile(value: str) -> str | None:
    found = _MOBILE(value)
    return found[1] if found else None


def _bare(value: str) -> str:
    return plain(value).replace(" ", "").replace("-", "").upper()


NORMAL_FORMS: dict[str, Callable[[str], str | None]] = {"id_cn": _resident_id, "mobile": _mobile}

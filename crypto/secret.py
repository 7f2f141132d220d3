"""Key bytes that do not show themselves."""

import hmac
import os
from typing import NoReturn


class Secret:
    """Holds key bytes; printing, pickling and copying give nothing away."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    @classmethod
    def random(cls, size: int = 32) -> "Secret":
        return cls(os.urandom(size))

    def reveal(self) -> bytes:
        """The bytes themselves; call it where they are used, and keep no copy."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # A hash in a dict would be a fingerprint of the key.

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")

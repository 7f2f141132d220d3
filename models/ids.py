"""New ids: UUID version 7, so that rows made together lie together in every index."""

import os
import time
from uuid import UUID

_VARIANT = str.maketrans("0123456789abcdef", "89ab" * 4)


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[UUID]:
    """`count` UUIDv7 of one millisecond, in ascending order."""
    return [UUID(text) for text in new_id_texts(count)]


def new_id_texts(count: int) -> list[str]:
    """`new_ids` as 32 hexadecimal digits each, for a bulk load."""
    head = f"{time.time_ns() // 1_000_000:012x}7"
    noise = os.urandom(10 * count).hex()
    variants = noise[::20].translate(_VARIANT)
    return sorted(
        head + noise[at + 1 : at + 4] + variant + noise[at + 5 : at + 20]
        for at, variant in zip(range(0, len(noise), 20), variants, strict=True)
    )

"""New ids: UUID version 7, so that rows made together lie together in every index."""

import os
import time
from operator import attrgetter
from uuid import UUID


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits."""
    return _uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def new_ids(count: int) -> list[UUID]:
    """`count` UUIDv7 of one millisecond, in ascending order: a bulk load reads its randomness once."""
    millis = time.time_ns() // 1_000_000
    noise = os.urandom(10 * count)
    return sorted((_uuid7(millis, noise[i : i + 10]) for i in range(0, 10 * count, 10)), key=attrgetter("int"))


def _uuid7(millis: int, noise: bytes) -> UUID:
    random = int.from_bytes(noise, "big")
    return UUID(
        int=(millis & 0xFFFFFFFFFFFF) << 80
        | 0x7 << 76
        | (random >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | random & 0x3FFFFFFFFFFFFFFF
    )

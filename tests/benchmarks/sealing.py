"""Cells and streams sealed and opened on one core, beside the library's own AES-GCM over the same bytes."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto import cobblestone
from crypto.canonical import canonical
from crypto.cells import CellName, CellSealer, case_key, open_cell, seal_cell
from crypto.secret import Secret

CELLS = 50_000
STREAM_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20  # as a file is read
CELLS_PER_SECOND_MIN = 25_000
STREAM_GB_PER_SECOND_MIN = 0.5
FIELDS = {"birth_date": "1984-07-03", "id_number": "110101198407030019", "name": "张三"}


def run(cells: int = CELLS, stream_bytes: int = STREAM_BYTES) -> Iterator[dict[str, Any]]:
    yield from _cells(cells)
    yield from _stream(stream_bytes)


def _cells(count: int) -> Iterator[dict[str, Any]]:
    class_key, portfolio, text = Secret.random(), os.urandom(16), canonical(FIELDS)
    references = [b"K-%d" % number for number in range(count)]
    salts = [os.urandom(32) for _ in references]
    names = [CellName(portfolio, reference, "identity", 1) for reference in references]
    keys = [case_key(class_key, portfolio, *pair) for pair in zip(references, salts, strict=True)]
    sealed = [seal_cell(key, name, FIELDS) for key, name in zip(keys, names, strict=True)]
    whole = CellSealer(portfolio, {"identity": class_key})
    raw, nonce, padded = AESGCM(os.urandom(32)), bytes(12), text.ljust(128, b"\x00")
    encrypted = raw.encrypt(nonce, padded, None)

    def open_all() -> None:
        for reference, salt, name, cell in zip(references, salts, names, sealed, strict=True):
            open_cell(case_key(class_key, portfolio, reference, salt), name, cell)

    def encrypt_all() -> None:
        for _ in references:
            raw.encrypt(nonce, padded, None)

    def decrypt_all() -> None:
        for _ in references:
            raw.decrypt(nonce, encrypted, None)

    seal_rate = count / _seconds(lambda: whole.seal_cases(references, salts, {"identity": [text] * count}))
    yield _line("cells sealed", seal_rate, count / _seconds(encrypt_all), "cells/s and core", CELLS_PER_SECOND_MIN)
    open_rate = count / _seconds(open_all)
    yield _line("cells opened", open_rate, count / _seconds(decrypt_all), "cells/s and core", CELLS_PER_SECOND_MIN)


def _stream(size: int) -> Iterator[dict[str, Any]]:
    key, chunk = os.urandom(32), os.urandom(CHUNK_BYTES)
    count = size // CHUNK_BYTES
    raw, nonce = AESGCM(key), bytes(12)
    piece = chunk[: 16 << 10]  # what one AES-GCM chunk of ours holds
    encrypted = raw.encrypt(nonce, piece, None)
    pieces = range(size // len(piece))

    def seal_all() -> None:
        for _ in cobblestone.seal_stream(key, b"bench", (chunk for _ in range(count))):
            pass

    def encrypt_all() -> None:
        for _ in pieces:
            raw.encrypt(nonce, piece, None)

    def decrypt_all() -> None:
        for _ in pieces:
            raw.decrypt(nonce, encrypted, None)

    # Sealed beforehand and opened as often as it takes: the whole of a big file need not fit into memory.
    part = list(cobblestone.seal_stream(key, b"bench", (chunk for _ in range(min(count, 32)))))

    def open_all() -> None:
        for _ in range(-(-count // 32)):
            for _ in cobblestone.open_stream(key, b"bench", part):
                pass

    gigabytes = size / 1e9
    rate, peer = gigabytes / _seconds(seal_all), gigabytes / _seconds(encrypt_all)
    yield _line("a stream sealed", rate, peer, "GB/s and core", STREAM_GB_PER_SECOND_MIN)
    rate, peer = gigabytes / _seconds(open_all), gigabytes / _seconds(decrypt_all)
    yield _line("a stream opened", rate, peer, "GB/s and core", STREAM_GB_PER_SECOND_MIN)


def _line(name: str, rate: float, peer: float, unit: str, goal: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(rate, 2),
        "unit": unit,
        "peer": f"AES-256-GCM of the library, the same bytes: {peer:.2f} {unit}",
        "ratio": round(rate / peer, 2),
        "goal": f"at least {goal} {unit}",
        "ok": rate >= goal,
    }


def _seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start

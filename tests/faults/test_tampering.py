"""The tamper suite: every way to alter what proves the log, each by its name, each caught; the untouched verifies."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import URL

from crypto.__main__ import main
from crypto.bundle import Bundle, write_bundle, write_consistency
from crypto.logfile import entry_leaf_hash, write_log
from crypto.merkle import consistency_proof, inclusion_proof, root
from crypto.notes import Checkpoint, sign_note
from crypto.verify import REFUSED, UNLINKED, VERIFIED
from crypto.witness import write_witness
from models.errors import Conflict
from models.objects import FolderStore
from models.services.oversight import log_checks, log_store, logs
from tests.evidence import (
    ENTRIES,
    KEY,
    LEAVES,
    ORIGIN,
    OTHER,
    PRIVATE,
    bundle,
    checkpoint,
    consistency,
    log,
    note,
)
from tests.logbook import HOST, Log
from tests.world import World

SIZE, PLACE, OLD = 7, 3, 3
ELSEWHERE = "consign.example/log/2"
REWRITTEN = [*ENTRIES[:2], (bytes(32), b'{"at":"2026-01-05","n":"rewritten"}'), *ENTRIES[3:]]
WHOLE = {"log": log(SIZE), "bundle": bundle(PLACE, SIZE), "consistency": consistency(OLD, SIZE)}

Pairs = list[tuple[bytes, bytes]]


def swap(old: str, new: str) -> Callable[[bytes], bytes]:
    """Something in the file for something else; it must be there, and be another."""

    def change(data: bytes) -> bytes:
        altered = data.replace(old.encode(), new.encode(), 1)
        assert altered != data
        return altered

    return change


def lines(edit: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(edit(data.splitlines(keepends=True)))


def member(name: str, edit: Callable[[object], object]) -> Callable[[bytes], bytes]:
    """One member of a file of one line, spelled as the file is otherwise."""

    def change(data: bytes) -> bytes:
        record = json.loads(data)
        record[name] = edit(record[name])
        return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    return change


def signed_log(entries: Pairs, size: int = SIZE, origin: str = ORIGIN, text: Callable[[str], str] = str) -> bytes:
    """A log that its own platform signs, whatever it says."""
    leaves = [entry_leaf_hash(*pair) for pair in entries[:size]]
    true = Checkpoint(origin, size, root(leaves))
    whole = b"".join(write_log(sign_note(true.text(), origin, PRIVATE), entries[:size]))
    said = sign_note(text(true.text()), origin, PRIVATE)
    return whole.replace(_json(sign_note(true.text(), origin, PRIVATE)), _json(said))


def signed_bundle(entries: Pairs, size: int) -> bytes:
    leaves = [entry_leaf_hash(*pair) for pair in entries[:size]]
    told = sign_note(Checkpoint(ORIGIN, size, root(leaves)).text(), ORIGIN, PRIVATE)
    return write_bundle(Bundle(PLACE, *entries[PLACE], inclusion_proof(leaves, PLACE), told))


def signed_by(key: object, size: int = SIZE) -> str:
    return sign_note(checkpoint(size).text(), ORIGIN, key)  # type: ignore[arg-type]


def other_note(edit: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """The last checkpoint's note, edited, in whatever file it stands."""

    def change(data: bytes) -> bytes:
        edited = edit(note(SIZE))
        assert edited != note(SIZE)
        altered = data.replace(_json(note(SIZE)), _json(edited))
        assert altered != data
        return altered

    return change


def _json(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def _key_id_changed(text: str) -> str:
    head, _, last = text.rstrip("\n").rpartition(" ")
    raw = bytearray(base64.b64decode(last))
    raw[0] ^= 1
    return f"{head} {base64.b64encode(raw).decode()}\n"


def _last_bits_changed(text: str) -> str:
    """The same bytes in base64 that is not canonical."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    at = text.rindex("=") - 1
    return text[:at] + letters[letters.index(text[at]) + 1] + text[at + 1 :]


def _signed_twice(text: str) -> str:
    return text + signed_by(OTHER).splitlines()[-1] + "\n"


def _padded(text: str) -> str:
    return text.replace("\n7\n", "\n07\n")


def _of_others() -> str:
    """A signed root of this size over other entries."""
    return sign_note(Checkpoint(ORIGIN, SIZE, root(LEAVES[8:15])).text(), ORIGIN, PRIVATE)


def _hashes(proof: bytes) -> list[str]:
    found: list[str] = json.loads(proof)["proof"]
    return found


def _proof(edit: Callable[[list[str]], list[str]]) -> Callable[[bytes], bytes]:
    return member("proof", lambda hashes: edit(list(hashes)))  # type: ignore[call-overload]


class Kind(NamedTuple):
    """A way to alter a file: which one, how, and what the command answers."""

    subject: str
    alter: Callable[[bytes], bytes]
    answer: int = REFUSED


FILES: dict[str, Kind] = {
    # An exported log
    "an entry altered": Kind("log", swap('\\"n\\": 2', '\\"n\\": 9')),
    "an entry dropped": Kind("log", lines(lambda all_: all_[:3] + all_[4:])),
    "the first entry dropped": Kind("log", lines(lambda all_: all_[:1] + all_[2:])),
    "the last entry dropped": Kind("log", lines(lambda all_: all_[:-2] + all_[-1:])),
    "an entry dropped and the rest numbered anew": Kind("log", lambda _: _numbered_anew()),
    "two entries exchanged": Kind("log", lines(lambda all_: [*all_[:2], all_[3], all_[2], *all_[4:]])),
    "an entry inserted": Kind("log", lines(lambda all_: [*all_[:3], all_[5], *all_[3:]])),
    "an entry doubled": Kind("log", lines(lambda all_: [*all_[:3], all_[2], *all_[3:]])),
    "a salt changed": Kind("log", swap("AwMD", "AwME")),
    "a salt in base64 that is not canonical": Kind("log", swap('AwM="', 'AwN="')),
    "a salt without its padding": Kind("log", swap('AwM="', 'AwM"')),
    "a salt in the URL's alphabet": Kind("log", lambda _: log_with_salt().replace(b"//", b"__", 1)),
    "a size with a sign": Kind("log", swap('"size":7', '"size":+7')),
    "a size with a leading zero": Kind("log", swap('"size":7', '"size":07')),
    "a size with an underscore": Kind("log", swap('"size":7', '"size":0_7')),
    "a size as a string": Kind("log", swap('"size":7', '"size":"7"')),
    "a size as a float": Kind("log", swap('"size":7', '"size":7.0')),
    "a size with an exponent": Kind("log", swap('"size":7', '"size":7e0')),
    "a size from the future": Kind("log", swap('"size":7', '"size":8')),
    "an index gap": Kind("log", swap('"index":4', '"index":5')),
    "an index as a string": Kind("log", swap('"index":4', '"index":"4"')),
    "an index as a float": Kind("log", swap('"index":4', '"index":4.0')),
    "an index below zero": Kind("log", swap('"index":0', '"index":-0')),
    "a member more": Kind("log", swap('"index":4', '"index":4,"more":1')),
    "a member twice": Kind("log", swap('"index":4', '"index":4,"index":4')),
    "a member less": Kind("log", swap('"format":"consign-log/1",', "")),
    "members in another order": Kind("log", lambda data: _reordered(data)),
    "an escape that JSON does not need": Kind("log", swap("2026", "\\u0032026")),
    "a slash escaped": Kind("log", swap("consign.example/log/1", "consign.example\\/log/1")),
    "a space between members": Kind("log", swap('"index":4,', '"index":4, ')),
    "a stray line": Kind("log", lines(lambda all_: [*all_[:3], b"\n", *all_[3:]])),
    "a line behind the checkpoint": Kind("log", lines(lambda all_: [*all_, all_[-1]])),
    "lines that end as on Windows": Kind("log", lambda data: data.replace(b"\n", b"\r\n")),
    "a byte order mark": Kind("log", lambda data: b"\xef\xbb\xbf" + data),
    "bytes that are not UTF-8": Kind("log", lambda data: data.replace(b"2026", b"\xff026", 1)),
    "no last newline": Kind("log", lambda data: data[:-1]),
    "a file cut in the middle": Kind("log", lambda data: data[: len(data) // 2]),
    "a file without its checkpoint": Kind("log", lines(lambda all_: all_[:-1])),
    "an empty file": Kind("log", lambda _: b""),
    "the format of tomorrow": Kind("log", swap("consign-log/1", "consign-log/2")),
    "another dash before the signature": Kind("log", swap("— consign", "– consign")),
    "a signature of another key": Kind("log", other_note(lambda _: signed_by(OTHER))),
    "a second signature nobody checked": Kind("log", other_note(_signed_twice)),
    "a signature without its key id": Kind("log", other_note(_key_id_changed)),
    "a signature in base64 that is not canonical": Kind("log", other_note(_last_bits_changed)),
    "a signature over another text": Kind("log", other_note(lambda text: text.replace("\n7\n", "\n8\n"))),
    "a signed size with a leading zero": Kind("log", lambda _: signed_log(ENTRIES, text=_padded)),
    "a signed line more": Kind("log", lambda _: signed_log(ENTRIES, text=lambda t: t + "extension\n")),
    "the root of another log": Kind("log", other_note(lambda _: _of_others())),
    "another organisation's log": Kind("log", lambda _: signed_log(ENTRIES, origin=ELSEWHERE)),
    "another organisation's checkpoint": Kind("log", other_note(lambda _: note(SIZE, ELSEWHERE))),
    "another organisation in the header": Kind("log", swap(ORIGIN, ELSEWHERE)),
    "an older log": Kind("log", lambda _: log(SIZE - 1)),
    "a fork of the same size": Kind("log", lambda _: signed_log(REWRITTEN)),
    "a fork that has grown": Kind("log", lambda _: signed_log(REWRITTEN, SIZE + 2)),
    # A bundle
    "a bundle's entry altered": Kind("bundle", swap('\\"n\\": 3', '\\"n\\": 9')),
    "a bundle's salt changed": Kind("bundle", swap("AwMD", "AwME")),
    "a bundle's entry moved": Kind("bundle", swap('"index":3', '"index":2')),
    "a bundle's entry moved beyond the log": Kind("bundle", swap('"index":3', '"index":7')),
    "a bundle's index with a sign": Kind("bundle", swap('"index":3', '"index":-3')),
    "a bundle's index as a float": Kind("bundle", swap('"index":3', '"index":3.0')),
    "a bundle's index as true": Kind("bundle", swap('"index":3', '"index":true')),
    "a bundle's proof too short": Kind("bundle", _proof(lambda hashes: hashes[:-1])),
    "a bundle's proof too long": Kind("bundle", _proof(lambda hashes: [*hashes, hashes[0]])),
    "a bundle's proof in another order": Kind("bundle", _proof(lambda hashes: hashes[::-1])),
    "a bundle's proof of another entry": Kind("bundle", _proof(lambda _: _hashes(bundle(2, SIZE)))),
    "a bundle without a proof": Kind("bundle", _proof(lambda _: [])),
    "a bundle's proof of short hashes": Kind("bundle", _proof(lambda hashes: ["AAAA", *hashes[1:]])),
    "a bundle's member more": Kind("bundle", swap('{"format"', '{"more":1,"format"')),
    "a bundle under another name": Kind("bundle", swap(f'"origin":"{ORIGIN}"', f'"origin":"{ELSEWHERE}"')),
    "a bundle with another log's checkpoint": Kind("bundle", other_note(lambda _: note(SIZE, ELSEWHERE))),
    "a bundle signed by another key": Kind("bundle", other_note(lambda _: signed_by(OTHER))),
    "a bundle with an older checkpoint": Kind("bundle", lambda _: bundle(PLACE, SIZE - 1)),
    "a bundle of a fork of the same size": Kind("bundle", lambda _: signed_bundle(REWRITTEN, SIZE)),
    "a bundle of a fork that has grown": Kind("bundle", lambda _: signed_bundle(REWRITTEN, SIZE + 2), UNLINKED),
    "two bundles in one file": Kind("bundle", lambda data: data * 2),
    "a bundle cut off": Kind("bundle", lambda data: data[:-40]),
    "a bundle called a log": Kind("bundle", swap("consign-bundle/1", "consign-log/1")),
    # Two checkpoints
    "a consistency proof too short": Kind("consistency", _proof(lambda hashes: hashes[:-1])),
    "a consistency proof too long": Kind("consistency", _proof(lambda hashes: [*hashes, hashes[0]])),
    "a consistency proof in another order": Kind("consistency", _proof(lambda hashes: hashes[::-1])),
    "a consistency proof of other sizes": Kind("consistency", _proof(lambda _: _hashes(consistency(2, SIZE)))),
    "the two checkpoints exchanged": Kind("consistency", lambda data: _exchanged(data)),
    "one checkpoint twice": Kind("consistency", member("old", lambda _: note(SIZE))),
    "an older checkpoint nobody signed": Kind("consistency", member("old", lambda _: signed_by(OTHER, OLD))),
    "an older checkpoint of another log": Kind("consistency", member("old", lambda _: note(OLD, ELSEWHERE))),
    "a newer checkpoint nobody signed": Kind("consistency", other_note(lambda _: signed_by(OTHER))),
    "two checkpoints of a fork": Kind("consistency", lambda _: _signed_consistency(REWRITTEN)),
    "two checkpoints before what was seen": Kind("consistency", lambda _: consistency(OLD, SIZE - 1)),
    "two checkpoints that pass by what was seen": Kind("consistency", lambda _: consistency(OLD, SIZE + 2), UNLINKED),
}  # fmt: skip


def _numbered_anew() -> bytes:
    """A true checkpoint over entries of which one was taken out."""
    entries = [*ENTRIES[:2], *ENTRIES[3:SIZE]]
    shorter = signed_log(entries, SIZE - 1).splitlines(keepends=True)
    return b"".join([*shorter[:-1], WHOLE["log"].splitlines(keepends=True)[-1]])


def log_with_salt() -> bytes:
    return signed_log([(b"\xff" * 32, entry) for _, entry in ENTRIES])


def _reordered(data: bytes) -> bytes:
    all_ = data.splitlines(keepends=True)
    record = json.loads(all_[2])
    all_[2] = json.dumps(dict(sorted(record.items())), separators=(",", ":")).encode() + b"\n"
    return b"".join(all_)


def _exchanged(data: bytes) -> bytes:
    record = json.loads(data)
    record["old"], record["new"] = record["new"], record["old"]
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _signed_consistency(entries: Pairs) -> bytes:
    leaves = [entry_leaf_hash(*pair) for pair in entries[:SIZE]]
    notes_ = [sign_note(Checkpoint(ORIGIN, size, root(leaves[:size])).text(), ORIGIN, PRIVATE) for size in (OLD, SIZE)]
    return write_consistency(*notes_, consistency_proof(leaves, OLD))


def verified(folder: Path, data: bytes) -> int:
    """What the command answers a witness who has seen the true log at its size."""
    file, witness = folder / "file", folder / "witness.json"
    file.write_bytes(data)
    write_witness(witness, {ORIGIN: checkpoint(SIZE)})
    return main(["verify-log", str(file), "--key", KEY, "--witness", str(witness)])


@pytest.mark.parametrize("subject", WHOLE)
def test_the_untouched_file_verifies(tmp_path: Path, subject: str) -> None:
    assert verified(tmp_path, WHOLE[subject]) == VERIFIED


@pytest.mark.parametrize("name", FILES)
def test_a_tampered_file_is_caught(tmp_path: Path, name: str) -> None:
    kind = FILES[name]
    altered = kind.alter(WHOLE[kind.subject])
    assert altered != WHOLE[kind.subject]
    assert verified(tmp_path, altered) == kind.answer


# What stands: the objects of the store (`object/…`), and the rows of the database, changed by whoever owns it.
ROW = "org_id = %(org)s and index = 5"
LAST = "org_id = %(org)s and size = 21"
ROWS: dict[str, str] = {
    "an entry altered": f"update log_leaf set entry = convert_to('{{}}', 'UTF8') where {ROW}",
    "an entry altered with its hash": f"""update log_leaf set entry = convert_to('{{}}', 'UTF8'),
        leaf_hash = sha256('\\x00' || sha256(salt || convert_to('{{}}', 'UTF8'))) where {ROW}""",
    "a salt altered": f"update log_leaf set salt = sha256(salt) where {ROW}",
    "a hash altered": f"update log_leaf set leaf_hash = sha256(leaf_hash) where {ROW}",
    "an entry dropped": f"delete from log_leaf where {ROW}",
    "the last entry dropped": "delete from log_leaf where org_id = %(org)s and index = 20",
    "an entry dropped and the rest numbered anew": f"""delete from log_leaf where {ROW};
        update log_leaf set index = -index where org_id = %(org)s and index > 5;
        update log_leaf set index = -index - 1 where org_id = %(org)s and index < 0""",
    "two entries exchanged": """update log_leaf set index = -1 where org_id = %(org)s and index = 4;
        update log_leaf set index = 4 where org_id = %(org)s and index = 5;
        update log_leaf set index = 5 where org_id = %(org)s and index = -1""",
    "an entry inserted at the end": """insert into log_leaf select org_id, 21, leaf_hash, entry, salt, recorded_at
        from log_leaf where org_id = %(org)s and index = 5; update log_head set size = 22 where org_id = %(org)s""",
    "the root altered": "update log_head set root = sha256(root) where org_id = %(org)s",
    "the frontier altered": "update log_head set frontier[1] = sha256(frontier[1]) where org_id = %(org)s",
    "the size altered": "update log_head set size = 20 where org_id = %(org)s",
    "a checkpoint's size altered": f"update log_checkpoint set size = 20 where {LAST}",
    "a checkpoint's note altered": f"""update log_checkpoint
        set note = replace(note, chr(10) || '21' || chr(10), chr(10) || '20' || chr(10)) where {LAST}""",
    "a checkpoint's note of another size": f"""update log_checkpoint set note =
        (select note from log_checkpoint where org_id = %(org)s and size = 8) where {LAST}""",
    "everything since yesterday forgotten": f"""delete from log_checkpoint where {LAST};
        delete from log_leaf where org_id = %(org)s and index >= 8;
        update log_head set (size, root, frontier) = (8, '\\x00', '{{}}') where org_id = %(org)s""",
}
OBJECTS: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "a tile altered": ("tile/0/001", lambda data: bytes([data[0] ^ 1]) + data[1:]),
    "a tile cut off": ("tile/0/001", lambda data: data[:-32]),
    "a tile with more": ("tile/0/001", lambda data: data + data[:32]),
    "two hashes of a tile exchanged": ("tile/0/001", lambda data: data[32:64] + data[:32] + data[64:]),
    "a tile gone": ("tile/0/001", lambda _: None),
    "an upper tile altered": ("tile/1/000", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "an upper tile gone": ("tile/1/000", lambda _: None),
    "a checkpoint's object altered": ("checkpoints/8", lambda data: data.replace(b"\n8\n", b"\n9\n")),
    "a checkpoint's object gone": ("checkpoints/8", lambda _: None),
    "the last checkpoint of another log": ("checkpoint", lambda data: data.replace(b"/log/", b"/log/0")),
    "the last checkpoint unsigned": ("checkpoint", lambda data: data.split("—".encode())[0]),
    "the last checkpoint from the future": ("checkpoint", lambda data: data.replace(b"\n21\n", b"\n22\n")),
    "the last checkpoint gone": ("checkpoint", lambda _: None),
}


@pytest.fixture
def standing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """21 entries in small tiles, signed at 6, 8 and 21."""
    monkeypatch.setattr(log_store, "TILE_HASHES", 4)
    made = Log(world, world.lender(), FolderStore(tmp_path / "objects"))
    for size in (6, 8, 21):
        made.grow(size - made.head().size - made.waiting())
    return made


def checked(log: Log) -> int:
    with log.database.work(log.integrator) as work:
        return log_checks.check(work, log.objects, HOST)


def proofs(log: Log) -> Iterator[str]:
    """Everything that can be taken from a log: none of it leaves where it does not prove itself."""
    leaves = log.leaf_hashes()
    with log.database.work(log.actor) as work:
        yield "".join(logs.export(work))
        yield logs.consistency(work, log.objects, 6)
        for leaf in leaves:
            yield logs.bundle(work, log.objects, leaf)


def test_the_untouched_log_stands_and_every_proof_of_it_verifies(standing: Log, tmp_path: Path) -> None:
    assert checked(standing) == 21
    for number, proof in enumerate(proofs(standing)):
        file = tmp_path / str(number)
        file.write_text(proof)
        assert main(["verify-log", str(file), "--key", standing.key()]) == VERIFIED


@pytest.mark.parametrize("name", ROWS)
def test_a_tampered_row_is_caught(standing: Log, name: str, admin: URL) -> None:
    with standing.database.work(standing.actor) as work:
        database = work.session.scalar(select(func.current_database()))
    owner = admin.set(drivername="postgresql", database=database).render_as_string(False)
    with psycopg.connect(owner, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(ROWS[name], {"org": standing.org_id})
    _caught(standing)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_tampered_object_is_caught(standing: Log, name: str) -> None:
    path, alter = OBJECTS[name]
    key = f"log/{standing.org_id}/{path}"
    altered = alter(standing.objects.get(key))
    assert altered != standing.objects.get(key)
    if altered is None:
        (standing.objects.root / key).unlink()  # type: ignore[attr-defined]
    else:
        standing.objects.put(key, altered)
    _caught(standing)


def _caught(log: Log) -> None:
    """The check names a place."""
    with pytest.raises(Conflict) as refused:
        checked(log)
    assert refused.value.code == "log_forked"
    assert refused.value.facts["place"]

"""An act becomes an outbox row, a leaf, a signed checkpoint, and a file that anyone can check offline."""

import datetime as dt
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.engine import URL

from crypto import notes
from crypto.__main__ import main as tool
from crypto.custody import PLATFORM
from crypto.errors import LogRefused, SignatureRefused
from crypto.grants import verify_signature
from crypto.merkle import EMPTY_ROOT, Frontier, root
from models.audit import Checkpoint, LogHead, LogLeaf
from models.errors import Conflict, NotFound, Unavailable
from models.objects import FolderStore, ObjectStore
from models.services.collection import releases
from models.services.oversight import log_store, logs
from tests.conftest import Clock
from tests.logbook import HOST, Log
from tests.world import Someone, World

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender()


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return FolderStore(tmp_path / "objects")


@pytest.fixture
def log(world: World, lender: Someone, objects: ObjectStore) -> Log:
    """A lender's log; its own making has left `born` entries in the outbox."""
    return Log(world, lender, objects)


class Untouchable:
    """An object store that nobody may call."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the store was asked to {name}")


def test_entries_become_leaves_in_the_order_of_the_outbox(log: Log) -> None:
    log.integrate()
    before = log.leaf_hashes()
    recorded = log.act(5)
    assert log.integrate() == 1
    assert log.leaf_hashes() == before + recorded
    assert log.waiting() == 0


def test_the_head_is_the_root_of_its_leaves(log: Log) -> None:
    assert log.head() == (0, EMPTY_ROOT, None, False)
    for count in (1, 2, 5, 8):
        log.act(count)
        log.integrate()
        leaves = log.leaf_hashes()
        assert log.head()[:2] == (len(leaves), root(leaves))


def test_no_more_leaves_than_one_turns_are_ever_unsigned(log: Log) -> None:
    log.grow()
    log.act_often(2 * logs.LEAVES_PER_TURN_MAX + 1)
    for moved in (logs.LEAVES_PER_TURN_MAX, 0, 0):
        with log.database.work(log.integrator) as work:
            assert logs.integrate(work) == moved
    log.publish()
    assert log.integrate() == 2


def test_where_nothing_waits_nothing_is_touched(log: Log) -> None:
    log.integrate()
    with log.database.work(log.integrator) as work:
        assert logs.integrate(work) == 0
        assert logs._has_written_nothing(work)


def test_a_tree_that_did_not_grow_is_not_signed_again(log: Log) -> None:
    log.grow()
    log.objects = Untouchable()  # type: ignore[assignment]
    assert log.publish() is None


def test_an_untouched_log_is_not_signed(world: World) -> None:
    log = Log(world, world.lender(), Untouchable())  # type: ignore[arg-type]
    assert log.publish() is None


def test_a_work_signs_nothing_that_it_has_changed_itself(log: Log) -> None:
    with log.database.work(log.integrator) as work:
        logs.integrate(work)
        with pytest.raises(AssertionError, match="rolled back"):
            logs.publish(work, log.objects, HOST)
    assert list(log.objects.list()) == []


def test_the_checkpoint_is_signed_over_the_committed_tree(log: Log) -> None:
    log.act(3)
    log.integrate()
    grown = log.publish()
    assert grown == (f"{HOST}/log/{log.org_id}", log.born + 3, root(log.leaf_hashes()))
    checkpoint = log.head().checkpoint
    assert checkpoint is not None
    opened = notes.open_note(checkpoint.note, [log.key()])
    assert notes.Checkpoint.parse(opened.text) == grown


def test_every_checkpoint_is_kept_and_the_last_one_named(log: Log) -> None:
    for _ in range(3):
        log.grow()
    place = f"log/{log.org_id}"
    assert list(log.objects.list(place)) == [
        f"{place}/checkpoint",
        *(f"{place}/checkpoints/{log.born + n}" for n in (1, 2, 3)),
    ]
    assert log.objects.get(f"{place}/checkpoint") == log.objects.get(f"{place}/checkpoints/{log.born + 3}")


def test_full_tiles_hold_the_leaf_hashes(log: Log) -> None:
    log.integrate()
    log.act_often(600)
    log.integrate()
    log.publish()
    hashes = log.leaf_hashes()
    place = f"log/{log.org_id}/tile/"
    assert list(log.objects.list(place)) == [f"{place}0/000", f"{place}0/001"]
    assert log.objects.get(f"{place}0/001") == b"".join(hashes[256:512])


@pytest.mark.parametrize("steps", [[70], [3, 1, 12, 47, 5, 2]])
def test_tiles_of_every_level_lead_to_the_root(log: Log, steps: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "TILE_HASHES", 4)
    log.integrate()
    for step in steps:
        log.act_often(step)
        log.integrate()
        log.publish()
    hashes = log.leaf_hashes()
    for level, spanned in ((0, 1), (1, 4), (2, 16)):
        below = [root(hashes[first : first + spanned]) for first in range(0, len(hashes), spanned)]
        for index in range(len(hashes) // (4 * spanned)):
            tile = log.objects.get(f"log/{log.org_id}/{log_store.tile_path(level, index)}")
            assert tile == b"".join(below[4 * index : 4 * index + 4])
    assert len(list(log.objects.list(f"log/{log.org_id}/tile/"))) == 18 + 4 + 1


@pytest.mark.parametrize(
    ("level", "index", "path"),
    [(0, 0, "tile/0/000"), (1, 67, "tile/1/067"), (0, 1000, "tile/0/x001/000"), (2, 1234067, "tile/2/x001/x234/067")],
)
def test_a_tile_stands_where_the_specification_says(level: int, index: int, path: str) -> None:
    assert log_store.tile_path(level, index) == path


def test_a_new_store_is_given_all_tiles_when_the_log_next_grows(log: Log, tmp_path: Path) -> None:
    log.act_often(600)
    log.integrate()
    log.publish()
    before = log.objects
    log.objects = FolderStore(tmp_path / "new")
    log.grow()
    for key in before.list(f"log/{log.org_id}/tile/"):
        assert log.objects.get(key) == before.get(key)


def test_a_store_that_is_ahead_of_the_database_is_not_rewritten(log: Log) -> None:
    log.grow(5)
    with log.database.work(log.integrator) as work:
        ahead = notes.Checkpoint(logs.origin(HOST, log.org_id), 100, bytes(32))
        log.objects.put(f"log/{log.org_id}/checkpoint", work.vault.sign_checkpoint(ahead).encode())
    log.act()
    log.integrate()
    with pytest.raises(Conflict) as refused:
        log.publish()
    assert refused.value.code == "log_forked"
    assert log.head().checkpoint.size == log.born + 5  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["checkpoints/256", "checkpoints/{last}", "tile/0/000"])
def test_a_store_that_holds_other_bytes_for_good_is_not_followed(log: Log, key: str) -> None:
    key = key.format(last=log.born + 257)
    log.objects.put_once(f"log/{log.org_id}/{key}", b"another history")
    log.act_often(256)
    with pytest.raises(Conflict) as refused:
        log.grow()
    assert refused.value.code == "log_forked"
    checkpoint = log.head().checkpoint
    assert checkpoint is None or checkpoint.size == 256


def test_a_log_does_not_change_its_name(log: Log) -> None:
    log.grow()
    log.act()
    log.integrate()
    with pytest.raises(Conflict) as refused:
        log.publish("other.test")
    assert refused.value.code == "log_forked"


def test_an_export_verifies_offline_and_one_altered_byte_does_not(log: Log, tmp_path: Path) -> None:
    log.grow(3)
    file, key = tmp_path / "log.jsonl", log.key()
    raw = log.export()
    file.write_bytes(raw)
    command = [sys.executable, "-m", "crypto", "verify-log", str(file), "--key", key]
    verified = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout.splitlines()[-1]) == (0, "verified")
    file.write_bytes(raw.replace(b'\\"number\\":2', b'\\"number\\":3'))
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")


@pytest.fixture
def exported(log: Log, tmp_path: Path) -> tuple[bytes, str, Path]:
    log.grow(3)
    return log.export(), log.key(), tmp_path / "log.jsonl"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_no_byte_of_an_export_can_change(exported: tuple[bytes, str, Path], at: float, change: int) -> None:
    raw, key, file = exported
    altered = bytearray(raw)
    altered[int(at * len(raw))] ^= change
    file.write_bytes(altered)
    assert tool(["verify-log", str(file), "--key", key]) == 1


def test_an_export_ends_at_the_last_signed_checkpoint(log: Log) -> None:
    log.grow(3)
    signed = log.export()
    log.act(2)
    log.integrate()
    assert log.export() == signed


def test_taking_the_log_away_is_an_entry_of_it(log: Log) -> None:
    log.grow()
    with log.database.work(log.actor) as work:
        assert logs.record_export(work).size == log.born + 1
    log.integrate()
    with log.database.work(log.actor) as work:
        last = json.loads(logs.list_entries(work, limit=1)[0].entry)
    assert (last["action"], last["subject"]) == ("export.download", {"export": "log", "size": log.born + 1})


def test_entries_are_listed_newest_first_page_by_page(log: Log) -> None:
    log.grow(7 - log.born)
    with log.database.work(log.actor) as work:
        first = logs.list_entries(work, limit=4)
        second = logs.list_entries(work, before=first[-1].index, limit=4)
    assert [leaf.index for leaf in first + second] == [6, 5, 4, 3, 2, 1, 0]


def test_there_is_no_export_before_there_is_a_signature(log: Log) -> None:
    log.integrate()
    for take in (logs.export, logs.record_export):
        with log.database.work(log.actor) as work, pytest.raises(Unavailable) as refused:
            take(work)
        assert refused.value.code == "log_not_published"


def test_an_auditor_takes_the_lenders_log_under_its_mandate(world: World, log: Log, lender: Someone) -> None:
    auditor = world.auditor(lender)
    log.integrate()
    log.publish()
    expected, key = log.export(), log.key()
    with world.database.work(auditor.actor) as work:
        assert "".join(logs.export(work)).encode() == expected
        assert logs.verifier_key(work, HOST) == key


def test_another_organisation_sees_nothing_of_a_log(world: World, log: Log) -> None:
    [leaf] = log.act()
    log.integrate()
    log.publish()
    for other in (world.lender(), world.agency()):
        with world.database.work(other.actor) as work:
            assert logs.head(work).size == 0
            with pytest.raises(Unavailable):
                logs.export(work)
            with pytest.raises(NotFound):
                logs.receipt(work, leaf)


def test_an_entry_altered_in_the_database_makes_no_file(log: Log, admin: URL) -> None:
    log.grow(5)
    with log.database.work(log.actor) as work:
        name = work.session.scalar(select(func.current_database()))
    owner = admin.set(drivername="postgresql", database=name).render_as_string(False)
    with psycopg.connect(owner) as connection:
        connection.execute("update log_leaf set entry = entry || ' ' where org_id = %s and index = 3", [log.org_id])
    with pytest.raises(LogRefused):
        log.export()


def test_an_export_broken_off_leaves_nothing_open(log: Log) -> None:
    log.grow(3)
    with log.database.work(log.actor) as work:
        lines = logs.export(work)
        assert next(lines).startswith('{"format"')
        next(lines)
        del lines
        assert logs.head(work).size == log.born + 3


def test_a_long_export_is_held_in_little_memory(log: Log) -> None:
    log.integrate()
    count = 5_000
    log.act_often(count)
    log.integrate()
    log.publish()
    with log.database.work(log.actor) as work:
        tracemalloc.start()
        lines = sum(1 for _ in logs.export(work))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert lines == 1 + log.born + count + 1  # header, entries, checkpoint
    assert peak < 2_000_000


def verified(data: str, log: Log, folder: Path) -> int:
    file = folder / "file"
    file.write_text(data)
    return tool(["verify-log", str(file), "--key", log.key()])


def bundle(log: Log, leaf: bytes) -> str:
    with log.database.work(log.actor) as work:
        return logs.bundle(work, log.objects, leaf)


def consistency(log: Log, old_size: int, new_size: int | None = None) -> str:
    with log.database.work(log.actor) as work:
        return logs.consistency(work, log.objects, old_size, new_size)


@pytest.mark.parametrize("size", [5, 16, 17, 64, 70, 85])
def test_every_entry_has_a_bundle_that_verifies_offline(
    log: Log, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_store, "TILE_HASHES", 4)
    log.act_often(size - log.born)
    log.integrate()
    log.publish()
    for place, leaf in enumerate(log.leaf_hashes()):
        line = bundle(log, leaf)
        assert json.loads(line)["index"] == place
        assert verified(line, log, tmp_path) == 0


def test_every_checkpoint_is_shown_to_be_the_beginning_of_every_later_one(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_store, "TILE_HASHES", 4)
    sizes = []
    for step in (1, 12, 1, 47, 9):
        log.grow(step)
        sizes.append(log.head().size)
    for old, new in combinations_with_replacement(sizes, 2):
        assert verified(consistency(log, old, new), log, tmp_path) == 0
    assert consistency(log, sizes[0]) == consistency(log, sizes[0], sizes[-1])


def test_a_proof_reads_few_tiles_and_few_leaves(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "TILE_HASHES", 4)
    log.act_often(250 - log.born)
    log.integrate()
    log.publish()
    asked: list[str] = []
    get = log.objects.get
    monkeypatch.setattr(log.objects, "get", lambda key: asked.append(key) or get(key))
    bundle(log, log.leaf_hashes()[0])
    assert 0 < len(asked) <= 4 * 3  # of three upper levels


def test_what_is_on_its_way_into_the_log_has_its_bundle_shortly(world: World, log: Log, lender: Someone) -> None:
    log.grow()
    [leaf] = log.act()
    with pytest.raises(NotFound):
        bundle(log, leaf)
    log.integrate()
    with pytest.raises(Unavailable) as refused:
        bundle(log, leaf)
    assert refused.value.code == "log_not_published"
    log.publish()
    assert bundle(log, leaf)


def test_a_release_has_the_bundle_of_its_entry(world: World, log: Log, lender: Someone, tmp_path: Path) -> None:
    agency = world.agency()
    placement = world.placement(lender, agency)
    [case_id, *_] = world.case_ids(placement, lender)
    log.integrate()
    log.publish()
    with world.database.work(agency.actor) as work:
        leaf = releases.authorise(work, case_id, "identity", "verify_identity").entry_leaf
    with pytest.raises(Unavailable):
        bundle(log, leaf)
    log.integrate()
    log.publish()
    line = bundle(log, leaf)
    assert verified(line, log, tmp_path) == 0
    assert json.loads(json.loads(line)["entry"])["subject"]["case"] == str(case_id)


def test_nobody_elses_entry_has_a_bundle(world: World, log: Log) -> None:
    log.grow()
    [leaf] = log.act()
    log.integrate()
    log.publish()
    for other in (world.lender(), world.agency()):
        with world.database.work(other.actor) as work, pytest.raises(NotFound):
            logs.bundle(work, log.objects, leaf)
        with world.database.work(other.actor) as work, pytest.raises(NotFound):
            logs.consistency(work, log.objects, log.head().size)


def test_sizes_without_a_checkpoint_or_reversed_have_no_consistency_proof(log: Log) -> None:
    log.grow()
    log.grow(2)
    last = log.head().size
    for old, new in ((last - 1, last), (last - 2, last - 1), (last + 1, None), (0, last)):
        with pytest.raises(NotFound):
            consistency(log, old, new)
    with pytest.raises(Conflict) as refused:
        consistency(log, last, last - 2)
    assert refused.value.code == "sizes_reversed"


def test_a_day_is_closed_by_its_last_checkpoint(log: Log, clock: Clock) -> None:
    clock.at = dt.datetime(2026, 3, 10, 15, 0, tzinfo=dt.UTC)  # 23:00 in Shanghai
    log.grow()
    log.grow()
    first = log.head()
    clock.forward(hours=1)  # midnight
    log.grow()
    clock.forward(days=3)
    log.grow()
    last = log.head()
    with log.database.work(log.actor) as work:
        found = logs.list_daily_roots(work)
        assert logs.list_daily_roots(work, before=found[0].business_date, limit=1) == found[1:2]
        assert logs.list_daily_roots(work, before=found[-1].business_date) == []
    assert [one.business_date for one in found] == [dt.date(2026, 3, day) for day in (14, 11, 10)]
    assert [one.size for one in found] == [last.size, last.size - 1, first.size]
    assert (found[0].root, found[-1].root) == (last.root, first.root)


def test_a_receipt_names_an_entry_and_its_time_and_not_its_place(world: World, log: Log) -> None:
    [leaf] = log.act()
    log.integrate()
    with world.database.work(log.actor) as work:
        receipt = logs.receipt(work, leaf)
        signing = work.vault.custody.public(PLATFORM).signing
    at = world.clock().astimezone(dt.UTC).isoformat(timespec="microseconds")
    assert json.loads(receipt.statement) == {"format": "consign/receipt/1", "leaf_hash": leaf.hex(), "at": at}
    verify_signature(signing, "receipt", receipt.statement.encode(), receipt.signature)
    with pytest.raises(SignatureRefused):
        verify_signature(signing, "receipt", receipt.statement.replace("2026", "2025").encode(), receipt.signature)


def test_an_unknown_entry_has_no_receipt(log: Log) -> None:
    log.grow()
    with log.database.work(log.actor) as work, pytest.raises(NotFound):
        logs.receipt(work, bytes(32))


def test_an_agency_has_a_receipt_for_its_release_that_tells_the_entrys_own_time(
    world: World, log: Log, lender: Someone, clock: Clock
) -> None:
    agency, stranger = world.agency(), world.agency()
    placement = world.placement(lender, agency)
    [case_id, *_] = world.case_ids(placement, lender)
    log.integrate()
    with world.database.work(agency.actor) as work:
        clock.forward(seconds=3)  # waiting for a lock; the release's own time is the later one
        releases.authorise(work, case_id, "contact", "contact_borrower")
    with world.database.work(agency.actor) as work:
        [record] = releases.list_own(work)
        receipt = logs.receipt(work, record.entry_leaf)
    log.integrate()
    assert record.entry_leaf in log.leaf_hashes()
    with world.database.work(lender.actor) as work:
        assert logs.receipt(work, record.entry_leaf) == receipt
        entry = json.loads(logs.list_entries(work, limit=1)[0].entry)
    assert json.loads(receipt.statement)["at"] == entry["at"] == "2026-03-10T02:00:03.000000+00:00"
    with world.database.work(stranger.actor) as work, pytest.raises(NotFound):
        logs.receipt(work, record.entry_leaf)


def test_each_half_of_the_separation_holds_alone(
    world: World, log: Log, admin: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the services' filter, row security still shows one log, and integrates one."""
    other = Log(world, world.lender(), log.objects)
    other.act(2)
    monkeypatch.setattr("models.services.tenancy.equals", lambda column, org_id: column.is_not(None))
    log.grow()
    assert (log.head().size, other.waiting()) == (log.born + 1, other.born + 2)


def test_what_a_leaf_stores_is_what_it_commits_to(log: Log) -> None:
    log.act(3)
    log.integrate()
    with log.database.work(log.actor) as work:
        stored = list(work.session.scalars(select(LogLeaf).order_by(LogLeaf.index)))
        head = work.session.scalars(select(LogHead)).one()
        assert work.session.scalar(select(func.count()).select_from(Checkpoint)) == 0
    assert [leaf.index for leaf in stored] == list(range(log.born + 3))
    assert head.frontier == _frontier(leaf.leaf_hash for leaf in stored).to_list()


def _frontier(leaves: Iterator[bytes]) -> Frontier:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier

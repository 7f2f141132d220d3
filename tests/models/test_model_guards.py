"""Guards over the verbs: where one crosses into the lender's tenant, and where a sealed thing is opened."""

import ast
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from models.database import Database
from models.work import AGENCY, enter
from tests.conftest import ROOT
from tests.world import World

# Each crossing is a decision: it acts in a lender's tenant for an agency that loaded its own row first.
CROSSINGS = {
    "acknowledgements.record_mismatch",
    "agency_files._act_for_lender",
    "agency_files._find_ended",
    "agency_files._record_late",
    "activity_files._apply",
    "activity_files._record_late",
    "activity_places.find",
    "assignments._workable",
    "bids.commit",
    "bids.reveal",
    "bids.withdraw",
    "agency_documents._in_the_lenders_tenant",
    "claims.record",
    "contacts.record",
    "documents._ground",
    "answering._hidden",
    "answering.closed_by",
    "answering.reasons_told",
    "eligibility._receives",
    "exports.limit",
    "exports.take",
    "frozen_terms.explain",
    "offers.accept",
    "offers.decline",
    "placed_cases.find_frozen_by",
    "placed_cases.hold_all",
    "placements._hold_for_file",
    "placements.acknowledge",
    "promises.record",
    "stops.confirm",
    "recalls.object_to",
    "reconciliations._booked",
    "refusals.record",
    "releases.authorise",
    "retentions.request",
    "retentions.window",
    "returns.give_back",
    "searches._in_every_placement",
    "standard_terms.explain",
    "timelines._earlier",
}
# The one door to showing what is sealed; the others seal or index it anew.
OPENINGS = {
    "crypto.cells.open_cell": {"sealed_cells.open", "class_keys.open"},
    "crypto.free_text.open_note": {"sealed_cells.open", "portfolio_keys._note_anew"},
    "crypto.cobblestone.open_": {"portfolio_keys._cells_anew"},
}


def calls(name: str) -> Iterator[str]:
    """`module.function` of every call of `name` in the verbs, the portal and the jobs.

    A dotted name is told from its namesakes by what the module imports; any other is the last word of what is called.
    """
    for folder in ("models/services", "portal", "jobs"):
        for path in (ROOT / folder).rglob("*.py"):
            yield from (f"{path.stem}.{function}" for function in callers(ast.parse(path.read_text()), name))


def callers(module: ast.Module, name: str) -> Iterator[str]:
    imported = dict(imports(module))
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef):
            called = [ast.unparse(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)]
            if any(name in (full_name(one, imported), one.rpartition(".")[2]) for one in called):
                yield node.name


def imports(module: ast.Module) -> Iterator[tuple[str, str]]:
    """What the module calls it -> what it is."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)


def full_name(called: str, imported: dict[str, str]) -> str:
    first, dot, rest = called.partition(".")
    return imported.get(first, first) + dot + rest


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from crypto.free_text import open_note\ndef f(): open_note()", ["f"]),
        ("from crypto.free_text import open_note as o\ndef f(): o()", ["f"]),
        ("from crypto import free_text\ndef f(): free_text.open_note()", ["f"]),
        ("import crypto.free_text\ndef f(): crypto.free_text.open_note()", ["f"]),
        ("from crypto.notes import open_note\ndef f(): open_note()", []),
        ("from crypto import notes\ndef f(): notes.open_note()", []),
    ],
)
def test_a_call_is_told_from_its_namesake_by_what_is_imported(source: str, found: list[str]) -> None:
    assert list(callers(ast.parse(source), "crypto.free_text.open_note")) == found


def test_the_crossings_into_a_lenders_tenant_are_these() -> None:
    assert set(calls("as_lender")) == CROSSINGS


@pytest.mark.parametrize("name", OPENINGS)
def test_sealed_things_are_opened_through_one_door(name: str) -> None:
    assert set(calls(name)) == OPENINGS[name]


def test_no_verb_commits_or_reads_the_system_clock() -> None:
    for path in (ROOT / "models" / "services").rglob("*.py"):
        for word in (".commit()", "datetime.now(", "time.time(", "date.today(", "import flask", "from flask"):
            assert word not in path.read_text(), (path.name, word)


def test_a_crossing_is_for_the_agency_that_the_row_names(world: World, database: Database) -> None:
    lender, agency, other = world.lender(), world.agency(), world.agency()
    placement = world.placement(lender, agency)
    with database.work(other.actor) as work, pytest.raises(AssertionError), work.as_lender(placement):
        raise NotImplementedError("never inside")


def test_after_a_crossing_the_agency_is_back_in_its_own_context(world: World, database: Database) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency)
    with database.work(agency.actor) as work:
        with work.as_lender(placement):
            assert context(work.session) == (str(lender.organisation.id), "lender")
        assert context(work.session) == (str(agency.organisation.id), AGENCY)


def test_after_its_transaction_a_connection_is_nobodys(world: World, database: Database) -> None:
    lender = world.lender()
    with database.engine.connect() as raw:
        with raw.begin():
            enter(Session(raw), "lender", lender.organisation.id)
            assert acts_for(raw) == ("consign_app", str(lender.organisation.id))
        assert acts_for(raw) == ("consign_login", "")


def acts_for(raw: Connection) -> tuple[str, str]:
    """Whom the connection acts for."""
    return tuple(raw.exec_driver_sql("select current_user, current_setting('app.org_id', true)").one())


def context(session) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    row = (
        session.connection().exec_driver_sql("select current_setting('app.org_id'), current_setting('app.side')").one()
    )
    return tuple(row)

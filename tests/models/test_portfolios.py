"""A case file goes in whole or not at all, comes to rest sealed, and can be had once only."""

import csv
import io
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from sqlalchemy import func, select, text
from sqlalchemy.engine import URL

from crypto.cells import CellName, case_key, open_cell
from crypto.fields import FIELD_CLASSES, FIELDS
from crypto.grants import WrapContext
from models import tabular
from models.base import Base
from models.borrower import Borrower
from models.case import Case, CaseSalt, CaseSealing, PhoneToken
from models.errors import AlreadyUploaded, Invalid, NotFound, Unavailable
from models.portfolio import ClassKey, Portfolio, PortfolioError
from models.sample import make_portfolio
from models.services.portfolio import portfolios
from models.tables import metadata
from models.work import Work
from tests.world import Someone, World

HEADER = (
    "case_number,product,currency,principal,interest,fees,balance,dpd,overdue_since,opened_on,region,name,id_number,"
    "birth_date,mobile,mobile_2,email,address,relative_name,relative_relation,relative_phone,employer,employer_phone,"
    "card_number"
)
FULL = (
    "A-1,信用卡,CNY,1000.00,200.00,50.00,1250.00,65,2026-01-04,2019-01-02,110105,欧阳锋,110105199001011232,"
    "1990-01-01,13812345678,13912345678,ouyangfeng@126.com,北京市朝阳区望京街道289号,李四光,舅父,13712345678,"
    "北京某某科技有限公司,010-62345678,6225751234567891497"
)
# Another case of the same person, who gave the id in its old form.
OLD_ID = "A-2,车贷,USD,,,,80.50,3,,,,欧阳锋,110105900101123,,13812345678,,,,,,,,,"
CLEAR_VALUES = [*FULL.split(",")[11:], "110105900101123"]


def file_of(*lines: str) -> list[bytes]:
    return ["\n".join([HEADER, *lines, ""]).encode()]


def upload(world: World, someone: Someone, *lines: str, name: str = "March") -> Portfolio:
    with world.database.work(someone.actor) as work:
        return portfolios.upload(work, file_of(*lines), name)


def upload_bytes(world: World, someone: Someone, chunks: list[bytes]) -> Portfolio:
    with world.database.work(someone.actor) as work:
        return portfolios.upload(work, iter(chunks), "March")


def errors_of(world: World, someone: Someone, portfolio: Portfolio) -> list[tuple[int, str, str]]:
    with world.database.work(someone.actor) as work:
        return [(error.row, error.field, error.code) for error in portfolios.list_errors(work, portfolio.id)]


def rows_of(work: Work, table: type[Base]) -> int:
    return work.session.scalar(select(func.count()).select_from(table)) or 0


def counts(world: World, someone: Someone) -> dict[str, int]:
    kept = (Portfolio, PortfolioError, ClassKey, Borrower, Case, CaseSalt, CaseSealing, PhoneToken)
    with world.database.work(someone.actor) as work:
        return {table.__tablename__: rows_of(work, table) for table in kept}


def numbered(count: int, start: int = 1) -> list[str]:
    """Cases of one person, each with its own number."""
    return [OLD_ID.replace("A-2", f"N-{number}") for number in range(start, start + count)]


def test_a_portfolio_counts_what_stands(world: World) -> None:
    lender = world.lender()
    portfolio = upload(world, lender, FULL, OLD_ID, FULL.replace("A-1", "A-3").replace("1250.00", "1.00"))
    assert (portfolio.state, portfolio.row_count, portfolio.case_count) == ("uploaded", 3, 2)
    assert (portfolio.borrower_count, portfolio.refused_count) == (1, 1)
    assert portfolio.totals == {"CNY": Decimal("1250.00"), "USD": Decimal("80.50")}
    with world.database.work(lender.actor) as work:
        assert portfolios.get(work, portfolio.id).totals == portfolio.totals


def test_figures_are_kept_as_they_were_given(world: World) -> None:
    lender = world.lender()
    upload(world, lender, FULL)
    with world.database.work(lender.actor) as work:
        case = work.session.scalars(select(Case)).one()
    assert (case.reference, case.product, case.region, case.currency) == ("A-1", "信用卡", "110105", "CNY")
    assert [case.principal, case.interest, case.fees, case.balance] == [1000, 200, 50, 1250]
    assert (case.dpd, case.bucket, case.age_band, case.status) == (65, "M3", "35-44", "open")
    assert [f"{day}" for day in (case.overdue_since_on, case.opened_on)] == ["2026-01-04", "2019-01-02"]
    assert f"{case.balance_on}" == "2026-03-10"
    assert case.agency_id is None


def test_masks_are_kept_for_the_fields_given_and_for_no_others(world: World) -> None:
    lender = world.lender()
    upload(world, lender, OLD_ID)
    with world.database.work(lender.actor) as work:
        masks = work.session.scalars(select(Case.masks)).one()
    assert masks == {"name": "欧阳*", "id_number": "1*************3", "mobile": "138****5678"}


def test_the_lender_s_keys_open_every_cell_to_exactly_the_fields(world: World) -> None:
    lender = world.lender()
    portfolio = upload(world, lender, FULL)
    given = dict(zip(HEADER.split(","), FULL.split(","), strict=True))
    with world.database.work(lender.actor) as work:
        case = work.session.scalars(select(Case)).one()
        salt = work.session.scalars(select(CaseSalt.salt)).one()
        sealing = work.session.scalars(select(CaseSealing)).one()
        keys = {key.field_class: key for key in work.session.scalars(select(ClassKey))}
    assert keys.keys() == set(FIELD_CLASSES)
    assert (sealing.version, sealing.epoch) == (1, 1)
    for field_class, fields in FIELDS.items():
        context = WrapContext.of_class(lender.organisation.id.bytes, portfolio.id.bytes, field_class)
        principal, wrap = str(lender.organisation.id), keys[field_class]
        class_key = world.database.vault.open_key(principal, wrap.wrapped, wrap.signature, context)
        name = CellName(portfolio.id.bytes, case.reference.encode(), field_class, 1)
        key = case_key(class_key, name.portfolio_id, name.case_reference, salt)
        assert open_cell(key, name, getattr(sealing, field_class)) == {field: given[field] for field in fields}


def test_nothing_personal_is_readable_in_any_column(world: World, admin: URL, database_name: str) -> None:
    lender = world.lender()
    upload(world, lender, FULL, OLD_ID, FULL.replace("A-1", "A-3").replace("1250.00", "1.00"))
    with psycopg.connect(_plain(admin, database_name)) as connection:
        for table in metadata.sorted_tables:
            dumped = connection.execute(
                f"select coalesce(string_agg(t::text, chr(10)), '') from {table.name} t"
            ).fetchone()
            assert dumped is not None
            found = [value for value in CLEAR_VALUES if _shows(dumped[0], value)]
            assert not found, table.name


def _shows(dump: str, value: str) -> bool:
    """In the clear, or as the bytes of its UTF-8."""
    return value in dump or value.encode().hex() in dump


def _plain(admin: URL, database_name: str) -> str:
    return admin.set(drivername="postgresql", database=database_name).render_as_string(False)


def test_two_cases_of_one_id_join_one_borrower_also_from_two_files(world: World) -> None:
    lender = world.lender()
    upload(world, lender, FULL)
    later = upload(world, lender, OLD_ID)
    with world.database.work(lender.actor) as work:
        assert rows_of(work, Borrower) == 1
        assert work.session.scalar(select(func.count(Case.borrower_id.distinct()))) == 1
    assert later.borrower_count == 1


def test_a_phone_finds_every_case_that_holds_it(world: World) -> None:
    lender = world.lender()
    upload(world, lender, FULL, OLD_ID)
    with world.database.work(lender.actor) as work:
        found = work.session.execute(select(PhoneToken.token, func.count()).group_by(PhoneToken.token))
        assert sorted(count for _, count in found) == [1, 2]


def test_two_lenders_share_no_token_and_no_borrower(world: World, admin: URL, database_name: str) -> None:
    lenders = [world.lender(), world.lender()]
    for lender in lenders:
        upload(world, lender, FULL)
    with psycopg.connect(_plain(admin, database_name), row_factory=namedtuple_row) as connection:
        ids = [lender.organisation.id for lender in lenders]
        people = connection.execute("select id, id_token from borrower where lender_id = any(%s)", [ids]).fetchall()
        phones = connection.execute("select token from phone_token where lender_id = any(%s)", [ids]).fetchall()
    assert len({person.id for person in people}) == len({person.id_token for person in people}) == 2
    assert len({phone.token for phone in phones}) == 4


def test_a_case_number_the_lender_has_used_is_refused_and_another_lender_s_is_not(world: World) -> None:
    lender, other = world.lender(), world.lender()
    upload(world, lender, FULL)
    second = upload(world, lender, OLD_ID, FULL)
    assert (second.case_count, second.refused_count) == (1, 1)
    assert errors_of(world, lender, second) == [(2, "case_number", "case_number_exists")]
    assert upload(world, other, FULL).case_count == 1


def test_every_fault_is_named_by_row_field_and_code(world: World) -> None:
    lender = world.lender()
    portfolio = upload(
        world,
        lender,
        FULL,
        FULL,
        OLD_ID.replace("A-2", "13812345678"),
        OLD_ID.replace("80.50", "-1").replace("110105900101123", "5.1E+17"),
        "A-9,车贷",
        OLD_ID.replace("A-2", "A-5"),
    )
    assert errors_of(world, lender, portfolio) == [
        (2, "case_number", "duplicate_case_number"),
        (3, "case_number", "case_number_personal"),
        (4, "balance", "balance_not_positive"),
        (4, "id_number", "spreadsheet_mangled"),
        (5, "*", "too_few_fields"),
    ]
    assert (portfolio.row_count, portfolio.case_count, portfolio.refused_count) == (6, 2, 4)


def test_where_every_row_is_refused_the_portfolio_says_so(world: World) -> None:
    lender = world.lender()
    portfolio = upload(world, lender, OLD_ID.replace("80.50", "0"))
    assert (portfolio.state, portfolio.case_count, portfolio.totals) == ("refused", 0, {})
    assert errors_of(world, lender, portfolio) == [(1, "balance", "balance_not_positive")]


@pytest.mark.parametrize(
    ("chunks", "code"),
    [
        ([], "empty_file"),
        ([b""], "empty_file"),
        ([HEADER.encode()], "header_only"),
        ([HEADER.encode(), b"\n"], "header_only"),
        ([b"case_number,name\n1,2\n"], "missing_column"),
        ([(HEADER + ",cvv\n").encode()], "forbidden_column"),
    ],
)
def test_a_file_that_is_none_leaves_nothing(world: World, chunks: list[bytes], code: str) -> None:
    lender = world.lender()
    with pytest.raises(Invalid) as refused:
        upload_bytes(world, lender, chunks)
    assert code in {error.code for error in refused.value.errors}
    assert not any(counts(world, lender).values())


@pytest.mark.parametrize(
    ("name", "code"), [(" ", "required_missing"), ("x" * 101, "too_long"), ("for 13812345678", "name_personal")]
)
def test_a_portfolio_has_a_name_that_names_nobody(world: World, name: str, code: str) -> None:
    lender = world.lender()
    with pytest.raises(Invalid) as refused:
        upload(world, lender, FULL, name=name)
    assert refused.value.errors == [(0, "name", code)]


def test_the_same_file_again_is_refused_and_changes_nothing(world: World) -> None:
    lender, other = world.lender(), world.lender()
    first = upload(world, lender, FULL, OLD_ID)
    before = counts(world, lender)
    with pytest.raises(AlreadyUploaded) as refused:
        upload(world, lender, FULL, OLD_ID, name="again")
    assert refused.value.facts == {"portfolio": first.id}
    assert counts(world, lender) == before
    assert upload(world, other, FULL, OLD_ID).case_count == 2


def test_of_two_uploads_of_one_file_at_once_one_stands(world: World) -> None:
    lender = world.lender()
    outcomes = _at_once(world, lender, [file_of(*numbered(50))] * 2)
    assert sorted(outcomes) == ["already_uploaded", "uploaded"]
    assert counts(world, lender)["portfolio"] == 1


def test_two_files_of_one_lender_at_once_never_wait_in_a_circle(world: World) -> None:
    lender = world.lender()
    outcomes = _at_once(world, lender, [file_of(*numbered(50)), file_of(*numbered(50, start=51))])
    assert outcomes == ["uploaded", "uploaded"]
    assert counts(world, lender)["borrower"] == 1


def _at_once(world: World, lender: Someone, files: list[list[bytes]]) -> list[str]:
    outcomes: list[str] = []
    ready = threading.Barrier(len(files))

    def one(chunks: list[bytes]) -> None:
        ready.wait()
        try:
            outcomes.append(upload_bytes(world, lender, chunks).state)
        except AlreadyUploaded as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=one, args=(chunks,)) for chunks in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_a_second_file_is_told_to_come_again_while_a_slow_one_is_read(world: World) -> None:
    lender = world.lender()

    def slow() -> Iterator[bytes]:
        yield from file_of(FULL)
        with world.database.work(lender.actor) as work:
            work.session.execute(text("set local lock_timeout = '50ms'"))
            with pytest.raises(Unavailable):
                portfolios.upload(work, file_of(OLD_ID), "second")

    assert upload_bytes(world, lender, slow()).case_count == 1


def test_a_stream_that_breaks_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "BLOCK_BYTES", 1_000)
    lender = world.lender()

    def broken() -> Iterator[bytes]:
        yield file_of(*numbered(20))[0]
        yield file_of(*numbered(20, start=100))[0].split(b"\n", 1)[1]
        raise ConnectionError("the client is gone")

    with pytest.raises(ConnectionError):
        upload_bytes(world, lender, broken())
    assert not any(counts(world, lender).values())


def test_batches_join_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "BLOCK_BYTES", 1_000)
    lender = world.lender()
    lines = numbered(60)
    lines[50] = lines[3]
    chunks = [file_of(*lines)[0][at : at + 700] for at in range(0, 20_000, 700)]
    portfolio = upload_bytes(world, lender, chunks)
    assert (portfolio.row_count, portfolio.case_count, portfolio.borrower_count) == (60, 59, 1)
    assert errors_of(world, lender, portfolio) == [(51, "case_number", "duplicate_case_number")]


def test_gb18030_and_utf8_come_to_the_same(world: World) -> None:
    lender = world.lender()
    text_ = file_of(FULL)[0].decode()
    upload_bytes(world, lender, [text_.encode("gb18030")])
    with world.database.work(lender.actor) as work:
        assert work.session.scalars(select(Case.masks)).one()["address"] == "北京市朝阳区****"


def test_the_upload_is_logged_with_its_digest_and_counts(world: World, admin: URL, database_name: str) -> None:
    lender = world.lender()
    portfolio = upload(world, lender, FULL)
    with psycopg.connect(_plain(admin, database_name)) as connection:
        entries = connection.execute("select entry from audit_outbox where org_id = %s", [lender.organisation.id])
        logged = [json.loads(entry) for (entry,) in entries]
    subject = next(entry["subject"] for entry in logged if entry["action"] == "portfolio.upload")
    assert subject == {
        "portfolio": str(portfolio.id),
        "sealed_by": "platform",
        "file_digest": portfolio.file_digest.hex(),
        "cases": 1,
        "borrowers": 1,
        "refused": 0,
    }


def test_a_foreign_portfolio_is_as_unknown_as_one_that_is_not_there(world: World) -> None:
    lender, other = world.lender(), world.lender()
    portfolio = upload(world, lender, FULL, OLD_ID.replace("80.50", "0"))
    with world.database.work(other.actor) as work:
        assert portfolios.list_own(work) == []
        for verb in (portfolios.get, portfolios.list_errors, portfolios.strata):
            for unknown in (portfolio.id, uuid4()):
                with pytest.raises(NotFound):
                    verb(work, unknown)


def test_portfolios_are_listed_newest_first_in_pages(world: World) -> None:
    lender = world.lender()
    made = [upload(world, lender, *numbered(1, start=number)).id for number in range(3)]
    with world.database.work(lender.actor) as work:
        first = [portfolio.id for portfolio in portfolios.list_own(work, limit=2)]
        second = [portfolio.id for portfolio in portfolios.list_own(work, after=first[-1], limit=2)]
    assert first + second == made[::-1]


def test_a_lender_sees_its_own_strata_unmerged(world: World) -> None:
    lender = world.lender()
    portfolio = upload(world, lender, FULL, OLD_ID)
    with world.database.work(lender.actor) as work:
        cny, usd = portfolios.strata(work, portfolio.id)["currencies"]
    assert (cny["currency"], cny["balance"], usd["currency"], usd["balance"]) == ("CNY", "1250.00", "USD", "80.50")
    assert cny["dimensions"]["bucket"] == [
        {"values": ["M3"], "case_count": 1, "borrower_count": 1, "balance": "1250.00"}
    ]


def test_nothing_in_the_clear_touches_a_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "BLOCK_BYTES", 50_000)
    lender, chunks = world.lender(), list(make_portfolio(2_000, seed=11))
    rows = list(csv.DictReader(io.StringIO(b"".join(chunks).decode())))
    personal = [row[field].encode() for row in (rows[0], rows[-1]) for field in ("id_number", "mobile", "card_number")]
    started = time.time()
    with _watched(Path(tempfile.gettempdir())) as appeared:
        upload_bytes(world, lender, chunks)
    database_folder = Path(os.environ.get("CONSIGN_TEST_HOME", "var/test"))
    written = list(_written_since(started - 1, database_folder))
    assert written
    for content in (*appeared, *written):
        assert not any(value in content for value in personal)


def _written_since(moment: float, folder: Path) -> Iterator[bytes]:
    """What is in the files that were last written at or after a moment, but for those that go away meanwhile."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_mtime >= moment:
                yield path.read_bytes()


@contextmanager
def _watched(folder: Path) -> Iterator[list[bytes]]:
    """What is in the files that appear in a folder, looked at again and again until the block is left."""
    before, contents, left = set(folder.iterdir()), list[bytes](), threading.Event()

    def watch() -> None:
        while not left.wait(0.002):
            for path in set(folder.iterdir()) - before:
                with suppress(OSError):
                    contents.extend(file.read_bytes() for file in (path, *path.rglob("*")) if file.is_file())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield contents
    finally:
        left.set()
        watcher.join()

"""Sealed intake of a case file, beside plain COPY of it and beside an ORM with an encrypted column type."""

import csv
import itertools
import resource
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Column, MetaData, Table, Text, Uuid, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session, registry
from sqlalchemy_utils import StringEncryptedType
from sqlalchemy_utils.types.encrypted.encrypted_type import AesEngine

from crypto.custody import LocalKeyring
from models import case_file
from models.custody import make_vault
from models.database import Database, utc_now
from models.sample import make_portfolio
from models.services.portfolio import portfolios
from tests.benchmarks.ground import own_database
from tests.world import World

CHUNK_BYTES = 1 << 20
ORM_ROWS_MAX = 20_000  # it has a constant rate and takes long
ORM_ROWS_PER_FLUSH = 1_000


class Run(NamedTuple):
    rows: int
    seconds: float
    rss_mb: float

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def run(cases: int = 100_000) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, own_database(Path(folder)) as ground:
        file = Path(folder) / "cases.csv"
        login = ground.database.engine.url
        with file.open("wb") as out:
            out.writelines(make_portfolio(cases, 1))
        copied = _in_a_process(copy_plain, login, file)
        by_orm = _in_a_process(insert_by_orm, login, file)
        sealed = _in_a_process(upload, login, file)
    yield {
        "name": "sealed intake",
        "value": round(sealed.rate),
        "unit": "cases/s",
        "peer": f"ORM with an encrypted column type: {by_orm.rate:.0f} cases/s",
        "ratio": round(sealed.rate / by_orm.rate, 1),
        "goal": "at least 12500 cases/s",
        "ok": sealed.rate >= 12_500,
    }
    yield {
        "name": "sealed intake, time",
        "value": round(sealed.seconds, 2),
        "unit": "s",
        "peer": f"plain COPY: {copied.seconds:.2f} s",
        "ratio": round(sealed.seconds / copied.seconds, 1),
        "goal": "at most 20 times plain COPY",
        "ok": sealed.seconds <= 20 * copied.seconds,
    }
    yield {
        "name": f"sealed intake, peak memory at {cases} cases",
        "value": round(sealed.rss_mb),
        "unit": "MB",
        "peer": f"ORM with an encrypted column type, {by_orm.rows} cases: {by_orm.rss_mb:.0f} MB",
        "ratio": round(sealed.rss_mb / by_orm.rss_mb, 1),
        "goal": "at most 500 MB",
        "ok": sealed.rss_mb <= 500,
    }


def upload(login: URL, file: Path) -> Run:
    custody = LocalKeyring(file.with_name("keyring.json"))
    database = Database(login.render_as_string(False), make_vault(custody))
    lender = World(database, utc_now).lender()
    with file.open("rb") as source:
        start = time.perf_counter()
        with database.work(lender.actor) as work:
            portfolio = portfolios.upload(work, iter(lambda: source.read(CHUNK_BYTES), b""), "benchmark")
        return _run(portfolio.case_count, start)


def copy_plain(login: URL, file: Path) -> Run:
    columns = ", ".join(f'"{column.name}" text' for column in case_file.COLUMNS)
    with psycopg.connect(_owner(login, "postgresql")) as connection, file.open("rb") as source:
        connection.execute(f"create table plain_copy ({columns})")
        start = time.perf_counter()
        with connection.cursor() as cursor:
            with cursor.copy("copy plain_copy from stdin (format csv, header)") as copy:
                while chunk := source.read(CHUNK_BYTES):
                    copy.write(chunk)
            rows = cursor.rowcount
        connection.commit()
        return _run(rows, start)


def insert_by_orm(login: URL, file: Path) -> Run:
    def type_of(column: case_file.Column) -> Any:
        return StringEncryptedType(Text, "a key of the application", AesEngine, "pkcs5") if column.field_class else Text

    columns = [Column(column.name, type_of(column)) for column in case_file.COLUMNS]
    table = Table("orm_case", MetaData(), Column("id", Uuid, primary_key=True), *columns)
    row_class = type("OrmCase", (), {})
    registry().map_imperatively(row_class, table)
    engine = create_engine(_owner(login, "postgresql+psycopg"))
    table.create(engine)
    with file.open(newline="", encoding="utf-8") as source:
        start = time.perf_counter()
        rows = 0
        with Session(engine) as session, session.begin():
            reader = itertools.islice(csv.DictReader(source), ORM_ROWS_MAX)
            while chunk := list(itertools.islice(reader, ORM_ROWS_PER_FLUSH)):
                made = [_filled(row_class(), {"id": uuid.uuid4(), **row}) for row in chunk]
                session.add_all(made)
                session.flush()
                session.expunge_all()
                rows += len(made)
        return _run(rows, start)


def _filled(instance: Any, values: dict[str, Any]) -> Any:
    for name, value in values.items():
        setattr(instance, name, value or None)
    return instance


def _run(rows: int, start: float) -> Run:
    seconds = time.perf_counter() - start
    return Run(rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _in_a_process(contestant: Callable[[URL, Path], Run], login: URL, file: Path) -> Run:
    """Each has a process of its own, so that its peak memory is its own."""
    with get_context("spawn").Pool(1) as pool:
        return Run(*pool.apply(contestant, (login, file)))


def _owner(login: URL, driver: str) -> str:
    return login.set(drivername=driver, username="consign_owner").render_as_string(False)

"""Many rows at once: COPY out into a Polars frame, COPY in through a temporary table under the policies."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid4

import polars as pl
from psycopg import Connection
from sqlalchemy import (
    ColumnElement,
    Select,
    TableClause,
    Text,
    Uuid,
    any_,
    column,
    insert,
    literal,
    select,
    table,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from models.base import Base
from models.ids import new_ids
from models.money import Schema
from models.work import Work

Query: TypeAlias = Select[*tuple[Any, ...]]

ROWS_PER_PIECE = 50_000  # of one COPY: bounds the text held in memory


def join_by_sets(work: Work) -> None:
    """No nested loops for the rest of the transaction.

    PostgreSQL knows nothing yet of a table that was just loaded, takes it for small, and would loop for hours.
    """
    work.session.execute(text("set local enable_nestloop = off"))


def read(work: Work, query: Query, schema: Schema) -> pl.DataFrame:
    """The query's rows, its columns in the order of `schema`. Ids come as text, times as UTC microseconds."""
    work.session.flush()
    compiled = query.compile(dialect=work.session.connection().dialect, compile_kwargs={"render_postcompile": True})
    raw = b"".join(_copied(work, f"copy ({compiled}) to stdout (format csv)", compiled.params))
    if not raw:
        return pl.DataFrame(schema=schema)
    kinds = {name: dtype.base_type() for name, dtype in schema.items()}
    as_written = {name: pl.String if kinds[name] in _PARSED else dtype for name, dtype in schema.items()}
    parsed = [_PARSED[kind](name) for name, kind in kinds.items() if kind in _PARSED]
    return pl.read_csv(raw, has_header=False, schema=as_written).with_columns(parsed)


def append(work: Work, target: type[Base], rows: pl.DataFrame) -> None:
    """Insert `rows`, whose columns are named as the table's."""
    if rows.height:
        staged = stage(work, target, rows)
        work.session.execute(insert(target).from_select(rows.columns, select(staged)))


def stage(work: Work, target: type[Base], rows: pl.DataFrame) -> TableClause:
    """`rows` in a temporary table, whose columns have the types they have in `target`."""
    types = target.__table__.columns
    dialect = work.session.connection().dialect
    staged = make(work, {name: types[name].type.compile(dialect) for name in rows.columns})
    fill(work, staged, rows)
    analyze(work, staged)
    return staged


def among(column: Any, ids: Sequence[UUID]) -> ColumnElement[bool]:
    """The column is one of these ids, however many: they go as one array."""
    return column == any_(literal(list(ids), ARRAY(Uuid)))  # type: ignore[no-any-return]


def among_named(column: Any, values: Sequence[str] | None) -> ColumnElement[bool]:
    """The column is one of these texts; where none is named every row passes, those without a value too."""
    return column == any_(literal(list(values), ARRAY(Text))) if values else true()


def keep(work: Work, ids: Query) -> Select[Any]:
    """A query's ids, found once: later queries join them, and the planner knows how many they are."""
    kept = make(work, {"id": "uuid"})
    work.session.execute(insert(kept).from_select(["id"], ids))
    analyze(work, kept)
    return select(kept.c.id)


def make(work: Work, types: Mapping[str, str]) -> TableClause:
    """An empty temporary table, gone with the transaction: column → SQL type."""
    name = f"staged_{uuid4().hex}"
    columns = ", ".join(f'"{column_name}" {kind}' for column_name, kind in types.items())
    work.session.execute(text(f"create temporary table {name} ({columns}) on commit drop"))
    return table(name, *(column(column_name) for column_name in types))


def analyze(work: Work, staged: TableClause) -> None:
    """Tell the planner what a temporary table holds by now."""
    work.session.execute(text(f"analyze {staged.name}"))


def fill(work: Work, staged: TableClause, rows: pl.DataFrame) -> None:
    """COPY `rows` into a temporary table. It may spill to disk, so nothing personal may be in it in the clear."""
    names = ", ".join(f'"{name}"' for name in rows.columns)
    with _raw(work).cursor() as cursor, cursor.copy(f"copy {staged.name} ({names}) from stdin (format csv)") as copy:
        for piece in rows.iter_slices(ROWS_PER_PIECE):
            copy.write(piece.write_csv(include_header=False))


def stamped(work: Work, rows: pl.DataFrame, moment: str) -> pl.DataFrame:
    """The rows with the tenant, new ids in their order, and the time of the act in the column `moment`."""
    return rows.with_columns(
        pl.lit(str(work.tenant_id)).alias("lender_id"),
        pl.Series("id", [str(new) for new in new_ids(rows.height)], pl.String),
        pl.lit(work.at.isoformat()).alias(moment),
    )


def array_text(ids: pl.Expr) -> pl.Expr:
    """A list of ids as PostgreSQL writes an array."""
    return pl.concat_str(pl.lit("{"), ids.list.join(","), pl.lit("}"))


def bytes_text(column: pl.Expr) -> pl.Expr:
    """Bytes as PostgreSQL writes them, under the column's own name."""
    return (pl.lit("\\x") + column.bin.encode("hex")).name.keep()


def _copied(work: Work, statement: str, params: Mapping[str, Any]) -> Iterator[bytes]:
    with _raw(work).cursor() as cursor, cursor.copy(statement, params) as copy:
        for block in copy:
            yield bytes(block)


def _raw(work: Work) -> Connection[Any]:
    connection = work.session.connection().connection.driver_connection
    assert isinstance(connection, Connection)
    return connection


def _utc(name: str) -> pl.Expr:
    moment = pl.col(name).str.strip_suffix("+00")
    return moment.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us").dt.replace_time_zone("UTC").alias(name)


def _true(name: str) -> pl.Expr:
    return (pl.col(name) == "t").alias(name)


# What PostgreSQL writes in a way of its own.
_PARSED: Final[Mapping[Any, Callable[[str], pl.Expr]]] = {pl.Datetime: _utc, pl.Boolean: _true}

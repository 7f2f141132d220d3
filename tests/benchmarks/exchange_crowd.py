"""Many agencies from one: its rows copied in the database, since the real verbs would take minutes for so many."""

from typing import NamedTuple
from uuid import UUID

import psycopg

from tests.world import Someone

# Table → which of its columns name the agency or something of it; in the order of their references.
COPIED = {
    "tenant": {"id": "copied.agency_id"},
    "organisation": {"id": "copied.agency_id", "code": "copied.code", "name": "copied.name"},
    "member": {"org_id": "copied.agency_id", "id": "copied.member_id"},
    "api_token": {"org_id": "copied.agency_id", "member_id": "copied.member_id"},
    "sign_in": {"org_id": "copied.agency_id", "member_id": "copied.member_id"},
    "agreement": {
        "id": "copied.agreement_id",
        "agency_id": "copied.agency_id",
        "agency_name": "copied.name",
        "number": "copied.code",
    },
    "rate_card": {"id": "copied.card_id", "agency_id": "copied.agency_id", "agreement_id": "copied.agreement_id"},
    "rate_cell": {"card_id": "copied.card_id", "agency_id": "copied.agency_id"},
    "agency_document": {"id": "uuidv7()", "agency_id": "copied.agency_id"},
}
OF = {"tenant": "id", "organisation": "id", "member": "org_id", "api_token": "org_id", "sign_in": "org_id"}


class Seat(NamedTuple):
    """An agency with its agreement."""

    agency_id: UUID
    agreement_id: UUID


def copy_agency(admin: str, agency: Someone, count: int) -> list[Seat]:
    """So many agencies, the one given first, with the same person, papers and agreement. `admin` is a superuser's way.

    The secrets of tokens and sessions made before are the same too, each after its own organisation's id.
    """
    with psycopg.connect(admin) as connection:
        connection.execute(
            """create temporary table copied as select uuidv7() agency_id, uuidv7() agreement_id, uuidv7() card_id,
                   uuidv7() member_id, %s || '-' || n code, 'agency ' || lpad(n::text, 4, '0') as name
               from generate_series(2, %s) n""",
            [agency.organisation.code, count],
        )
        for table, columns in COPIED.items():
            changes = ", ".join(f"'{column}', {value}" for column, value in columns.items())
            copy_rows(
                connection, table, f"copied where t.{OF.get(table, 'agency_id')} = %s", changes, agency.organisation.id
            )
        rows = connection.execute("select agency_id, agreement_id from copied order by agreement_id").fetchall()
        rows += connection.execute("select agency_id, id from agreement where agency_id = %s", [agency.organisation.id])
    return sorted((Seat(*row) for row in rows), key=lambda seat: seat.agency_id != agency.organisation.id)


def copy_rows(connection: psycopg.Connection, table: str, beside: str, changes: str, *values: object) -> None:
    """Rows of `t`, the table itself, once for each row of what stands `beside` it, with some columns changed."""
    row = f"jsonb_populate_record(null::{table}, to_jsonb(t) || jsonb_build_object({changes}))"
    connection.execute(f"insert into {table} select ({row}).* from {table} t cross join {beside}", values)

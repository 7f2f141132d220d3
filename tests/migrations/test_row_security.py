"""Row security, as the database itself tells it."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.engine import URL

from models import cluster
from models.tables import metadata
from tests.conftest import plain

OPEN = {"tenant"}  # nameless: the only list without row security
# What happened is never edited; a correction is a new row.
FACTS = (
    "contact",
    "promise",
    "payment_claim",
    "ledger_payment",
    "ledger_feed",
    "case_balance",
    "release",
    "payment_match",
    "commission_line",
    "log_leaf",
    "log_checkpoint",
)


@pytest.fixture
def catalogue(admin: URL, database_name: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain(admin.set(database=database_name))) as connection:
        yield connection


def test_every_table_but_the_nameless_list_is_under_forced_row_security(catalogue: psycopg.Connection) -> None:
    rows = catalogue.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        " and relrowsecurity and relforcerowsecurity"
    )
    assert {name for (name,) in rows} == set(metadata.tables) - OPEN


def test_no_role_of_ours_is_a_superuser_and_only_the_backup_passes_row_security(catalogue: psycopg.Connection) -> None:
    rows = catalogue.execute(
        "select rolname, rolsuper, rolbypassrls from pg_roles where rolname like 'consign%'"
    ).fetchall()
    assert {name for name, *_ in rows} == set(cluster.ROLES)
    assert [name for name, is_super, _ in rows if is_super] == []
    assert [name for name, _, bypasses in rows if bypasses] == ["consign_backup"]


@pytest.mark.parametrize("table", FACTS)
def test_facts_can_be_edited_by_nobody(catalogue: psycopg.Connection, table: str) -> None:
    for role in ("consign_app", "consign_jobs", "consign_operator", "consign_auditor", "consign_backup"):
        (may,) = catalogue.execute(
            "select has_table_privilege(%s, %s, 'update') or has_table_privilege(%s, %s, 'delete')",
            (role, table, role, table),
        ).fetchone() or (True,)
        assert not may, (role, table)


def test_the_operators_role_reads_no_tenants_data(catalogue: psycopg.Connection) -> None:
    rows = catalogue.execute(
        "select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'"
        " and has_table_privilege('consign_operator', c.oid, 'select')"
    )
    known = {
        "tenant",
        "organisation",
        "organisation_key",
        "member",
        "sign_in",
        "api_token",
        "idempotency",
        "job_run",
        "access_refusal",
    }
    assert {name for (name,) in rows} <= known


def test_no_policy_joins_another_table(catalogue: psycopg.Connection) -> None:
    rows = catalogue.execute(
        "select policyname, tablename, coalesce(qual, '') || coalesce(with_check, '') from pg_policies"
    )
    assert [(name, table) for name, table, text in rows if " FROM " in text.upper().replace("( SELECT ", "")] == []


def test_no_view_or_function_of_ours_runs_with_a_superusers_rights(catalogue: psycopg.Connection) -> None:
    functions = catalogue.execute(
        "select p.oid::regprocedure::text, r.rolsuper from pg_proc p join pg_roles r on r.oid = p.proowner"
        " where p.pronamespace in ('public'::regnamespace, 'procrastinate'::regnamespace) and p.prosecdef"
    ).fetchall()
    assert all(not is_super for _, is_super in functions)
    assert [name.split("(")[0] for name, _ in functions] == ["procrastinate.procrastinate_defer_jobs_v1"]
    views = catalogue.execute("select viewname from pg_views where schemaname = 'public'").fetchall()
    assert views == []


@pytest.mark.parametrize("role", cluster.TAKEN_BY_LOGIN)
def test_without_a_context_no_row_of_any_tenant_is_seen(admin: URL, world, database_name: str, role: str) -> None:  # type: ignore[no-untyped-def]
    lender, agency = world.lender(), world.agency()
    world.agreement(lender, agency)
    with psycopg.connect(plain(admin.set(username=cluster.LOGIN, database=database_name))) as connection:
        connection.execute("select set_config('role', %s, false)", (role,))
        for table in sorted(set(metadata.tables) - OPEN):
            may = connection.execute("select has_table_privilege(%s, 'select')", (table,)).fetchone()
            if (
                may
                and may[0]
                and not (role == "consign_operator" and table in {"organisation", "organisation_key", "job_run"})
            ):
                count = connection.execute(f'select count(*) from "{table}"').fetchone()
                assert count == (0,), table


def test_the_login_has_no_right_of_its_own(admin: URL, database_name: str) -> None:
    login = plain(admin.set(username=cluster.LOGIN, database=database_name))
    with psycopg.connect(login) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from public.tenant")

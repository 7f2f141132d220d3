"""Turns at placements: a night that ends very many takes no more locks than a database has room for."""

from sqlalchemy import create_engine, select, text
from sqlalchemy.engine import URL
from sqlalchemy.orm import Session

from crypto.vault import Vault
from models.placement import Placement
from models.services.exchange import turns
from models.work import Work
from tests.world import World

MANY = 8_000  # of a lock for each, a server as it comes has room for about 6,400

COPY = text(
    """insert into placement
       select (jsonb_populate_record(t, jsonb_build_object('id', uuidv7(), 'offer_id', uuidv7()))).*
       from placement t cross join generate_series(1, :count) where t.id = :id"""
)
OWN_TURNS = text("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")


def test_very_many_placements_can_be_locked_at_once(admin: URL, database_name: str, world: World, vault: Vault) -> None:
    lender = world.lender()
    placement = world.placement(lender, world.agency())
    engine = create_engine(admin.set(database=database_name), hide_parameters=True)
    with engine.connect() as connection, Session(connection) as session:  # rolled back
        session.execute(text("set local session_replication_role = replica"))  # the copies have no offers
        session.execute(COPY, {"count": MANY, "id": placement.id})
        work = Work(session, lender.actor, world.clock(), vault, world.clock)
        query = turns.on_placements(work, select(Placement).where(Placement.lender_id == lender.organisation.id))
        assert len(session.scalars(query).all()) == MANY + 1
        assert session.scalars(OWN_TURNS).one() <= turns.PLACEMENT_TURNS
    engine.dispose()

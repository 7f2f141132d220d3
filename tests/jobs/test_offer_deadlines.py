"""The minute's job over offers: what is over ends for every lender, and the next choice is asked."""

from jobs import offers as job
from models.database import Database
from models.services.exchange import offers, tenders
from models.tender_plan import Plan
from tests.conftest import Clock
from tests.world import World


def test_the_minutes_job_ends_what_is_over_and_asks_the_next(world: World, database: Database, clock: Clock) -> None:
    lender, first, second = world.lender(), world.agency(), world.agency()
    choices = [world.agreement(lender, agency).id for agency in (first, second)]
    portfolio = world.portfolio(lender)
    with database.work(lender.actor) as work:
        tenders.create(work, Plan(portfolio.id, "assigned", choices, respond_hours=1))
    clock.forward(minutes=59)
    job.end_due(database)
    with database.work(first.actor) as work:
        assert [offer.state for offer in offers.list_own(work)] == ["offered"]
    clock.forward(minutes=1)
    job.end_due(database)
    job.end_due(database)
    for agency, state in ((first, "expired"), (second, "offered")):
        with database.work(agency.actor) as work:
            assert [offer.state for offer in offers.list_own(work)] == [state]

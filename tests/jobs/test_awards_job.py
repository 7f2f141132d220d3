"""The minute's job opens what is due for every lender, and one tender's trouble is not another's."""

from sqlalchemy import update
from sqlalchemy.engine import URL

from crypto.vault import Vault
from jobs import awards
from models.bid import Bid
from models.database import Database
from models.services.exchange import tenders
from tests import bidding
from tests.bidding import auction, terms
from tests.conftest import Clock, login_url
from tests.world import World


def test_what_is_due_is_awarded_for_every_lender(admin: URL, fresh_database: str, vault: Vault) -> None:
    clock = Clock()
    database = Database(login_url(admin, fresh_database), vault, clock)
    world = World(database, clock)
    broken, first, second = (auction(world, terms("0.180000")) for _ in range(3))
    for tendered in (broken, first, second):
        bidding.commit(world, *tendered.bidders)
    clock.forward(hours=bidding.HOURS)
    for tendered in (broken, first, second):
        bidding.reveal(world, *tendered.bidders)
    with database.work(broken.lender.actor) as work:
        work.session.execute(update(Bid).where(Bid.tender_id == broken.tender.id).values(sealed=b"not a bid"))
    assert awards.make_due(database) == 0
    clock.forward(hours=bidding.HOURS)
    assert awards.make_due(database) == 2
    states = []
    for tendered in (broken, first, second):
        with database.work(tendered.lender.actor) as work:
            states.append(tenders.get(work, tendered.tender.id).state)
    database.close()
    assert states == ["open", "placed", "placed"]

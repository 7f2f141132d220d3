import datetime as dt
from models.sample import make_portfolio
from models.services import portfolios
from sqlalchemy import text
def test_try(world):
    l=world.lender()
    import time
    for n in (300,):
        with world.database.work(l.actor) as work:
            t=time.time(); p=portfolios.upload(work, iter(make_portfolio(n,5)), "x"); print(time.time()-t, p.case_count,p.borrower_count,p.refused_count,p.balances,p.state)
    with world.database.work(l.actor) as work:
        print(portfolios.strata(work,p.id)["currencies"][0]["dimensions"]["bucket"], portfolios.list_own(work), portfolios.list_errors(work,p.id))
        print(work.session.execute(text("select * from collection_case limit 2")).mappings().all())

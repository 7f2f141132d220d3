"""The pages, one blueprint per noun."""

from portal.web import (
    account,
    activity,
    audit,
    breaches,
    breaks,
    cases,
    door,
    jobs,
    ledger,
    offers,
    organisations,
    overview,
    parties,
    placements,
    portfolios,
    statements,
)

BLUEPRINTS = (
    door.blueprint,
    overview.blueprint,
    portfolios.blueprint,
    offers.blueprint,
    placements.blueprint,
    ledger.blueprint,
    breaks.blueprint,
    statements.blueprint,
    parties.blueprint,
    cases.blueprint,
    activity.blueprint,
    breaches.blueprint,
    audit.blueprint,
    organisations.blueprint,
    jobs.blueprint,
    account.blueprint,
)

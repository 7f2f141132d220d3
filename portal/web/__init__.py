"""The pages, one blueprint per noun."""

from portal.web import (
    activity,
    breaks,
    cases,
    door,
    ledger,
    offers,
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
)

"""The API's rooms, one blueprint per group of nouns."""

from portal.api import audit, conduct, directory, exchange, jobs, ledger, money, portfolios, working

BLUEPRINTS = (
    directory.blueprint,
    portfolios.blueprint,
    exchange.blueprint,
    ledger.blueprint,
    working.blueprint,
    money.blueprint,
    conduct.blueprint,
    audit.blueprint,
    jobs.blueprint,
)

"""The API's rooms, one blueprint per group of nouns."""

from portal.api import directory, exchange, ledger, portfolios

BLUEPRINTS = (
    directory.blueprint,
    portfolios.blueprint,
    exchange.blueprint,
    ledger.blueprint,
)

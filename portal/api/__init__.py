"""The API's rooms, one blueprint per group of nouns."""

from portal.api import (
    audit,
    conduct,
    directory,
    documents,
    erasures,
    exchange,
    exports,
    jobs,
    keys,
    ledger,
    money,
    portfolios,
    search,
    working,
)

BLUEPRINTS = (
    directory.blueprint,
    portfolios.blueprint,
    exchange.blueprint,
    ledger.blueprint,
    working.blueprint,
    search.blueprint,
    money.blueprint,
    conduct.blueprint,
    audit.blueprint,
    keys.blueprint,
    erasures.blueprint,
    exports.blueprint,
    documents.blueprint,
    jobs.blueprint,
)

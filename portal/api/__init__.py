"""The API's rooms, one blueprint per group of nouns."""

from portal.api import directory

BLUEPRINTS = (directory.blueprint,)

"""The pages, one blueprint per noun."""

from portal.web import door, overview

BLUEPRINTS = (door.blueprint, overview.blueprint)

"""What is under way about an organisation's keys, all of it at once."""

from typing import NamedTuple

from models.services.sealing import index_keys, keys, portfolio_keys
from models.services.sealing.index_keys import Reindexing
from models.services.sealing.keys import Rotation
from models.services.sealing.portfolio_keys import Rekey
from models.work import AGENCY, Work


class Progress(NamedTuple):
    rotation: Rotation | None
    reindexing: Reindexing | None
    rekeys: list[Rekey]


def find(work: Work) -> Progress:
    """Asks the database alone, so that it answers while custody does not."""
    if work.actor.side == AGENCY:
        return Progress(keys.find(work), None, [])
    return Progress(keys.find(work), index_keys.find(work), portfolio_keys.list_running(work))

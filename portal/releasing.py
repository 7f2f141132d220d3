"""A release in its order: authorised and logged in a Work, committed, and only then opened."""

from typing import Any
from uuid import UUID

from models.services import releases
from portal.access import open_work
from portal.requests import once


def release(case_id: UUID, field_class: str, reason: str) -> dict[str, Any]:
    """What was opened, as both doors answer it. A repeated request is checked again and has an entry of its own."""
    with open_work() as work:
        held = once(
            work,
            lambda: releases.authorise(work, case_id, field_class, reason),
            lambda _: releases.authorise(work, case_id, field_class, reason),
        )
    # Committed: an outcome that is not known never comes this far.
    return {"release_id": held.id, "entry": held.entry_leaf.hex(), "fields": held.open(work.vault)}

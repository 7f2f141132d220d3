"""A release in its order: authorised and logged in a Work, committed, and only then opened."""

from typing import Any
from uuid import UUID

from crypto import strict
from models.services.collection import releases
from models.services.sealing import key_directory
from portal.access import open_work
from portal.requests import once


def release(case_id: UUID, field_class: str, reason: str) -> dict[str, Any]:
    """What was opened, or a package for whoever holds the key, as both doors answer it.

    A repeated request is checked again and has an entry of its own.
    """
    with open_work() as work:
        held = once(
            work,
            lambda: releases.authorise(work, case_id, field_class, reason),
            lambda _: releases.authorise(work, case_id, field_class, reason),
        )
        lender = key_directory.find(work, held.record.lender_id) if held.packed else None
    # Committed: an outcome that is not known never comes this far.
    answer = {"release_id": held.id, "entry": held.entry_leaf.hex()}
    if lender is None:
        return answer | {"fields": held.open(work.vault)}
    # The client believes this key only where its fingerprint is the one that it has pinned.
    signing_keys = {str(lender.signing.org_id): strict.to_base64(lender.signing.public_key)}
    return answer | {"package": held.open(work.vault), "signing_keys": signing_keys}

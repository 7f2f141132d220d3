"""Carrying out orders with the lender's own keys, and signing what comes of it (`consign-answer/1`).

Each act believes nothing of its order: the class keys are opened as the lender's own signed grants, the agency's key
is the pinned one, and `memory` refuses whatever is older than what was seen before.
"""

from collections.abc import Mapping
from typing import TypeAlias

from crypto import strict
from crypto.canonical import Json, canonical
from crypto.cells import CellName, case_key, open_cell, seal_cell
from crypto.errors import Distrusted, OrderRefused, SealBroken
from crypto.fields import NOTES
from crypto.free_text import NoteName, epoch_of, open_note, seal_note
from crypto.grants import Grant, WrapContext, make_grant, open_grant
from crypto.keyfile import PrivateKeys
from crypto.leases import LeaseName, seal_lease
from crypto.memory import Memory
from crypto.orders import (
    ERASE,
    LEASE,
    REKEY,
    REWRAP,
    EraseOrder,
    LeaseCase,
    LeaseOrder,
    RekeyCase,
    RekeyOrder,
    RewrapOrder,
)
from crypto.secret import Secret
from crypto.terms import lease_terms

FORMAT = "consign-answer/1"
RECORD_FORMAT = "consign-erasure/1"

Answer: TypeAlias = dict[str, Json]


def lease(order: LeaseOrder, keys: PrivateKeys, memory: Memory, now: int) -> Answer:
    """A fresh lease key for each class, granted to the agency, and each case's key sealed under it."""
    memory.check_clock(now)
    memory.require_pinned(order.agency_id, "kem", order.agency_kem)
    if order.agency_id == keys.organisation_id:
        raise OrderRefused("order_broken")
    if now >= order.expires_at:
        raise Distrusted("wrap_expired")
    class_keys = _open_classes(order.classes, order.portfolio_id, order.epoch, keys, memory, now)
    for case in order.cases:
        _take_versions(memory, case.case_id, case.versions)
    lease_keys = {name: Secret.random() for name in class_keys}
    grants = {name: _grant_to_agency(order, name, key, keys) for name, key in lease_keys.items()}
    for grant in grants.values():
        memory.take_epoch(grant.scope, order.epoch)
        memory.take_serial(grant.scope, order.serial)
    members: dict[str, Json] = {
        "grants": {name: grant.to_json() for name, grant in grants.items()},
        "cases": {strict.id_text(case.case_id): _leases(order, case, class_keys, lease_keys) for case in order.cases},
    }
    return _signed(LEASE, order.order_id, members, keys)


def rekey(order: RekeyOrder, keys: PrivateKeys, memory: Memory, now: int) -> Answer:
    """New class keys of the next epoch, and every cell and note sealed anew under them, at its version.

    `memory` learns the next epoch when the platform first shows it: an answer may be lost, or come too late.
    """
    old = _open_classes(order.classes, order.portfolio_id, order.epoch, keys, memory, now)
    for case in order.cases:
        _take_versions(memory, case.case_id, {name: version for name, (version, _) in case.cells.items()})
    new = {name: Secret.random() for name in old}
    epoch = order.epoch + 1
    grants = {
        name: make_grant(
            key,
            keys.public.kem,
            WrapContext.of_class(keys.organisation_id, order.portfolio_id, name, epoch),
            keys.sign,
        )
        for name, key in new.items()
    }
    members: dict[str, Json] = {
        "epoch": epoch,
        "classes": {name: grant.to_json() for name, grant in grants.items()},
        "cases": [_sealed_anew(order, case, old, new) for case in order.cases],
    }
    return _signed(REKEY, order.order_id, members, keys)


def rewrap(order: RewrapOrder, old: PrivateKeys, new: PrivateKeys, memory: Memory, now: int) -> Answer:
    """Each class key wrapped to the new key, in the order's own order; granted and signed by the new keys."""
    if old.organisation_id != new.organisation_id:
        raise OrderRefused("order_of_another")
    memory.check_clock(now)
    grants: list[Json] = []
    for grant in order.grants:
        context = grant.context
        # A key of an earlier epoch may still open something: it moves along, and stays an earlier epoch's.
        seen = memory if context.epoch >= memory.epochs.get(grant.scope, 0) else Memory()
        key = _open_own(grant, context.kind, context.portfolio_id, context.epoch, old, seen, now)
        context = context._replace(serial=context.serial + 1)
        grants.append(make_grant(key, new.public.kem, context, new.sign).to_json())
    return _signed(REWRAP, order.order_id, {"grants": grants}, new)


def erase(order: EraseOrder, keys: PrivateKeys, memory: Memory, now: int) -> Answer:
    """The record of what is erased, with the digests of the salts that opened it, under the lender's signature."""
    memory.check_clock(now)
    record: dict[str, Json] = {
        "format": RECORD_FORMAT,
        "lender": strict.id_text(keys.organisation_id),
        "subject_kind": order.subject_kind,
        "subject": strict.id_text(order.subject_id),
        "cases": [strict.id_text(case_id) for case_id in order.case_ids],
        "salt_digests": [digest.hex() for digest in order.salt_digests],
        "at": now,
    }
    signature = strict.to_base64(keys.sign("erasure", canonical(record)))
    return _signed(ERASE, order.order_id, {"record": record, "record_signature": signature}, keys)


def _open_classes(
    grants: Mapping[str, Grant], portfolio_id: bytes, epoch: int, keys: PrivateKeys, memory: Memory, now: int
) -> dict[str, Secret]:
    return {name: _open_own(grant, name, portfolio_id, epoch, keys, memory, now) for name, grant in grants.items()}


def _open_own(
    grant: Grant, name: str, portfolio_id: bytes, epoch: int, keys: PrivateKeys, memory: Memory, now: int
) -> Secret:
    """A class key that the lender granted to itself, for exactly this place."""
    context = grant.context
    if (context.granter, context.grantee) != (keys.organisation_id, keys.organisation_id):
        raise Distrusted("wrap_retargeted")
    if (context.portfolio_id, context.kind, context.epoch) != (portfolio_id, name, epoch):
        raise Distrusted("terms_changed")
    return open_grant(grant, keys.kem, keys.public.signing, memory, now)


def _take_versions(memory: Memory, case_id: bytes, versions: Mapping[str, int]) -> None:
    """Notes, and classes without a cell, have none."""
    for name, version in versions.items():
        if name != NOTES and version:
            memory.take_version(f"{strict.id_text(case_id)}/{name}", version)


def _grant_to_agency(order: LeaseOrder, name: str, lease_key: Secret, keys: PrivateKeys) -> Grant:
    terms = lease_terms(
        keys.organisation_id, order.agency_id, order.placement_id, order.portfolio_id, name, order.expires_at
    )
    context = WrapContext(
        name, keys.organisation_id, order.agency_id, order.portfolio_id, order.epoch, order.serial
    )  # fmt: skip
    return make_grant(lease_key, order.agency_kem, context, keys.sign, terms)


def _leases(
    order: LeaseOrder, case: LeaseCase, class_keys: Mapping[str, Secret], lease_keys: Mapping[str, Secret]
) -> dict[str, Json]:
    sealed: dict[str, Json] = {}
    for name, version in case.versions.items():
        key = case_key(class_keys[name], order.portfolio_id, case.reference.encode(), case.salt)
        place = LeaseName(order.placement_id, case.case_id, name, order.epoch)
        sealed[name] = strict.to_base64(seal_lease(lease_keys[name], place, key, version))
    return sealed


def _sealed_anew(
    order: RekeyOrder, case: RekeyCase, old: Mapping[str, Secret], new: Mapping[str, Secret]
) -> dict[str, Json]:
    reference = case.reference.encode()

    def keys_of(name: str) -> tuple[Secret, Secret]:
        old_key, new_key = (case_key(keys[name], order.portfolio_id, reference, case.salt) for keys in (old, new))
        return old_key, new_key

    cells: dict[str, Json] = {}
    for name, (version, cell) in case.cells.items():
        place = CellName(order.portfolio_id, reference, name, version)
        old_key, new_key = keys_of(name)
        cells[name] = strict.to_base64(seal_cell(new_key, place, open_cell(old_key, place, cell)))
    notes: list[Json] = []
    old_key, new_key = keys_of(NOTES)
    for contact_id, sealed in case.notes.items():
        if epoch_of(sealed) != order.epoch:
            raise SealBroken
        note = NoteName(order.portfolio_id, reference, contact_id)
        again = seal_note(new_key, order.epoch + 1, note, open_note(old_key, note, sealed))
        notes.append({"contact": strict.id_text(contact_id), "sealed": strict.to_base64(again)})
    return {"case": strict.id_text(case.case_id), "cells": cells, "notes": notes}


def _signed(kind: str, order_id: bytes, members: Mapping[str, Json], keys: PrivateKeys) -> Answer:
    answer: Answer = {"format": FORMAT, "order": strict.id_text(order_id), "kind": kind, **members}
    return answer | {"signature": strict.to_base64(keys.sign("answer", canonical(answer)))}

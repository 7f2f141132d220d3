"""What a bidder reveals: terms, or packages where the tender is in lots; read, checked, padded, sealed and opened."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from crypto.errors import SealBroken
from models import award
from models.agreement import Agreement
from models.award import AwardRefused, Package, Terms
from models.bid import REVEALED, Bid
from models.errors import Conflict, Invalid, RowError
from models.offer import Offer
from models.services.exchange import frozen_terms
from models.work import Work

# Every bid of a kind is padded to the same length, so that it tells nothing.
SEALED_BYTES: Final = 256
LOTS_SEALED_BYTES: Final = 1280

# In an offer's terms: which its bid stands on. It tells that there is one, so that the agency alone is shown it.
TERMS_DIGEST: Final = "terms_digest"

BidOn: TypeAlias = Terms | tuple[Package, ...]

_WHOLE, _IN_LOTS = Terms._fields, ("packages",)


class Opened(NamedTuple):
    """A standing bid at its award; `bid_on` and `nonce` are None where it was never revealed, `terms` where a placement
    would freeze others than those that the bid stands on."""

    bid: Bid
    offer: Offer
    agreement: Agreement
    terms: frozen_terms.Terms | None
    bid_on: BidOn | None
    nonce: bytes | None


def read(published: Mapping[str, Any], given: Mapping[str, Any], nonce: bytes) -> BidOn:
    """`given` has the texts of `award.Terms`, or where there are lots `packages`, and nothing else.

    Invalid by package (row) and field.
    """
    lots = published["scoring"].get("lots")
    faults = [
        RowError(0, name, "unknown_field") for name in given if name not in (_WHOLE if lots is None else _IN_LOTS)
    ]
    if len(nonce) != award.NONCE_BYTES:
        faults.append(RowError(0, "nonce", "wrong_shape"))
    if faults:
        raise Invalid(errors=faults)
    if lots is None:
        try:
            return award.read_terms(given)
        except AwardRefused as refused:
            raise Invalid(errors=[RowError(0, str(refused), award.SPELLINGS[str(refused)])]) from None
    if found := award.faults_in(given.get("packages"), len(lots)):
        raise Invalid(errors=[RowError(*fault) for fault in found])
    return award.read_packages(given["packages"], len(lots))


def commitment_of(offer: Offer, bid_on: BidOn, nonce: bytes) -> bytes:
    if isinstance(bid_on, Terms):
        return award.commitment_of(offer.tender_id, offer.agency_id, bid_on, nonce)
    return award.commitment_to_packages(offer.tender_id, offer.agency_id, bid_on, nonce)


def require_asked_for(published: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Invalid for a kind that is not bid on here, and for what is above a maximum that was published.

    `given` as `read` has taken it.
    """
    scoring = published["scoring"]
    rows = enumerate(given["packages"], start=1) if "lots" in scoring else [(0, given)]
    terms = [(row, award.read_terms(one)) for row, one in rows]
    limits = (scoring["rate_max"], scoring["case_fee_max"])
    faults = [
        *(RowError(row, "kind", "unknown_value") for row, one in terms if one.kind not in scoring["kinds"]),
        *(RowError(row, name, "above_maximum") for row, one in terms for name in award.exceeded(one, *limits)),
    ]
    if faults:
        raise Invalid(errors=faults)


def seal_bid(work: Work, bid: Bid, bid_on: BidOn, nonce: bytes) -> bytes:
    """Sealed to the platform's own principal, in its place."""
    length = SEALED_BYTES if isinstance(bid_on, Terms) else LOTS_SEALED_BYTES
    plain = json.dumps(spelled(bid_on) | {"nonce": nonce.hex()}).encode()
    return work.vault.seal_secret(seal_place(bid), plain.ljust(length))


def open_at_award(work: Work, bid: Bid, offer: Offer, agreement: Agreement) -> Opened:
    """Conflict `bid_broken` where what is sealed does not open. Comes under the lock of the agreement."""
    terms = find_terms(work, offer, agreement)
    if bid.state != REVEALED:
        return Opened(bid, offer, agreement, terms, None, None)
    assert bid.sealed is not None
    try:
        opened = json.loads(work.vault.open_secret(seal_place(bid), bid.sealed))
    except SealBroken:
        raise Conflict("bid_broken", bid=str(bid.id)) from None
    nonce = bytes.fromhex(opened.pop("nonce"))
    return Opened(bid, offer, agreement, terms, read(offer.terms, opened, nonce), nonce)


def stand_on(work: Work, offer: Offer, agreement: Agreement, terms_seen: str | None) -> None:
    """Write on the locked offer which terms its bid stands on. Conflict `terms_changed` where they are not those that
    were seen, `no_rate_card_in_force` where nothing could be placed."""
    terms = frozen_terms.require(work, agreement, placed_at(offer), terms_seen)
    offer.terms = offer.terms | {TERMS_DIGEST: terms.digest}


def find_terms(work: Work, offer: Offer, agreement: Agreement) -> frozen_terms.Terms | None:
    """What the offer's bid stands on, while a placement would freeze just that; None: the terms have changed.

    Stands in the lender's tenant.
    """
    terms = frozen_terms.find(work, agreement, placed_at(offer))
    return terms if stands_on(offer, terms) else None


def stands_on(offer: Offer, terms: frozen_terms.Terms | None) -> bool:
    """Whether the offer's bid was committed on these terms; one from before this was kept stands on any."""
    return terms is not None and offer.terms.get(TERMS_DIGEST, terms.digest) == terms.digest


def placed_at(offer: Offer) -> dt.datetime:
    """Of which time its terms are: the end of its windows, so that a rate card that follows another by then is known
    to whoever commits, and one that does so later changes nothing."""
    return offer.expires_at


def spelled(bid_on: BidOn) -> dict[str, Any]:
    if isinstance(bid_on, Terms):
        return bid_on._asdict()
    return {"packages": [package.spelled() for package in bid_on]}


def seal_place(bid: Bid) -> str:
    """Where a sealed bid belongs: it opens in no other tender, offer or bid."""
    return f"bid/{bid.tender_id}/{bid.offer_id}/{bid.id}"

"""The directory of public keys: who published which, and whom a lender's people have compared them with.

An agency's key is not trusted because the platform shows it. People of the lender compare its fingerprint with
what the agency told them by another way: one person for the first key, two for every later one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select, text

from crypto.errors import KeyFileRefused, SignatureRefused, ValueRefused
from crypto.grants import Grant, WrapContext, check_grant, fingerprint, suite_of
from crypto.keyfile import PublicFile, read_public_file
from models.agreement import Agreement
from models.errors import Conflict, Invalid, NotFound, RowError
from models.member import Member
from models.organisation import KEM, SELF, SIGNING, KeyApproval, Organisation, OrganisationKey
from models.services import tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.sealing import key_vouchers
from models.work import LENDER, Work

APPROVALS_FIRST, APPROVALS_LATER = 1, 2


class Keys(NamedTuple):
    """The newest public keys of an organisation."""

    kem: OrganisationKey
    signing: OrganisationKey

    @property
    def in_self_custody(self) -> bool:
        return self.kem.custody == SELF


class PartyKeys(NamedTuple):
    """A contract partner's newest keys, as its counterparty compares them; None where it has published none.

    `approvals` are those of a lender's people for the encryption key, of as many as it `needs`.
    """

    id: UUID
    name: str
    keys: Keys | None
    approvals: list[KeyApproval]
    needs: int

    @property
    def confirmed(self) -> bool:
        return len(self.approvals) >= self.needs


def find_own(work: Work) -> Keys | None:
    return _newest(list_own(work))


def list_own(work: Work) -> list[OrganisationKey]:
    """Every public key the actor's own organisation ever had, the newest first."""
    return _keys(work, work.actor.org_id)


def of_lender(work: Work, lender_id: UUID) -> list[OrganisationKey]:
    """The same of the lender in whose tenant the transaction stands."""
    return _keys(work, lender_id)


def find(work: Work, org_id: UUID) -> Keys | None:
    """The newest keys of an organisation that a row of the caller's names."""
    with _told_of(work, org_id):
        return _newest(_keys(work, org_id))


def somebody_here_can_seal(work: Work, lender_id: UUID) -> bool:
    """Whether a note on a case of this lender can be sealed here: not where both sides hold their own keys.

    For a page to say beforehand, also while custody does not answer: it takes the rows' word, which sealing does not.
    """
    with _told_of(work, lender_id):
        sides = [_newest(_rows(work, org_id)) for org_id in (work.actor.org_id, lender_id)]
    return not all(keys is not None and keys.in_self_custody for keys in sides)


def publish(work: Work, data: bytes) -> Keys:
    """Take an organisation's own `consign-public/1`; a key that has changed gets the next serial.

    Raises Invalid `public_file_broken`; Conflict where it is another organisation's, where the platform holds the
    keys, or where a key of it stands or stood already.
    """
    if work.session.get_one(Organisation, work.actor.org_id).custody != SELF:
        raise Conflict("keys_with_platform")
    file = _read(data)
    if file.organisation_id != work.actor.org_id.bytes:
        raise Conflict("public_file_of_another")
    turns.take(work, "keys")
    known = list_own(work)
    standing = _newest(known)
    given = {KEM: (suite_of(file.kem), file.kem), SIGNING: ("ed25519", file.signing)}
    fresh = [
        purpose
        for purpose, (_, public) in given.items()
        if standing is None or getattr(standing, purpose).public_key != public
    ]
    if not fresh:
        raise Conflict("key_published_already")
    if any(key.public_key == given[purpose][1] for purpose in fresh for key in known):
        raise Conflict("key_replaced_before")
    for purpose in fresh:
        suite, public = given[purpose]
        serial = 1 + max((key.serial for key in known if key.purpose == purpose), default=0)
        key = OrganisationKey(
            org_id=work.actor.org_id,
            purpose=purpose,
            serial=serial,
            suite=suite,
            public_key=public,
            custody=SELF,
            created_at=work.at,
        )
        key_vouchers.sign(work, key)
        work.session.add(key)
    work.session.flush()
    published = find_own(work)
    assert published is not None
    audit.record(work, audit.Action.KEY_PUBLISH, entry_of(published.kem, published.signing))
    return published


def entry_of(kem: OrganisationKey, signing: OrganisationKey) -> dict[str, object]:
    """What the log says of published keys: the directory's entry."""
    return {
        "organisation": kem.org_id,
        "custody": kem.custody,
        "kem": fingerprint(kem.public_key),
        "kem_serial": kem.serial,
        "signing": fingerprint(signing.public_key),
        "signing_serial": signing.serial,
    }


def list_parties(work: Work) -> list[PartyKeys]:
    """The keys of every organisation one has an agreement with, by name."""
    return [_party(work, org_id, name) for org_id, name in _partners(work).items()]


def get_party(work: Work, org_id: UUID) -> PartyKeys:
    """NotFound where no agreement names the two."""
    partners = _partners(work)
    if org_id not in partners:
        raise NotFound
    return _party(work, org_id, partners[org_id])


def confirm(work: Work, agency_id: UUID, given: str) -> PartyKeys:
    """One person of the lender has compared the agency's encryption key; `given` is the fingerprint they were told.

    Conflict `fingerprint_differs` where it is not that of the newest key, `key_confirmed_already` by this person.
    """
    assert work.actor.side == LENDER
    assert work.actor.member_id is not None
    party = get_party(work, agency_id)
    if party.keys is None:
        raise Conflict("key_not_published")
    key = party.keys.kem
    if _bare(given) != fingerprint(key.public_key).hex():
        raise Conflict("fingerprint_differs")
    turns.take(work, f"keys of {agency_id}")
    if any(approval.member_id == work.actor.member_id for approval in _approvals(work, work.tenant_id, key)):
        raise Conflict("key_confirmed_already")
    approval = KeyApproval(
        lender_id=work.tenant_id,
        agency_id=agency_id,
        purpose=KEM,
        serial=key.serial,
        member_id=work.actor.member_id,
        fingerprint=fingerprint(key.public_key),
        approved_at=work.at,
    )
    key_vouchers.sign(work, approval)
    work.session.add(approval)
    work.session.flush()
    subject = {"agency": agency_id, "serial": key.serial, "fingerprint": fingerprint(key.public_key)}
    audit.record(work, audit.Action.KEY_CONFIRM, subject)
    return get_party(work, agency_id)


def require_confirmed(work: Work, lender_id: UUID, agency_id: UUID) -> Keys:
    """The agency's newest keys, for wrapping a key of the lender's to; `agency_id` is one a placement names.

    Conflict `agency_key_not_confirmed` until the lender's people have compared them.
    """
    keys = find(work, agency_id)
    if keys is None or len(_approvals(work, lender_id, keys.kem)) < _needed(work, lender_id, keys.kem):
        raise Conflict("agency_key_not_confirmed")
    return keys


def names_of(work: Work, approvals: list[KeyApproval]) -> dict[UUID, str]:
    """Who confirmed, of one's own people."""
    ids = [approval.member_id for approval in approvals]
    return dict(
        work.session.execute(select(Member.id, Member.name).where(tenancy.mine(work, Member), Member.id.in_(ids))).all()
    )


def grant_of(keys: list[OrganisationKey], context: WrapContext, wrapped: bytes, signature: bytes) -> Grant:
    """A lender's own stored wrap as the grant it is: which of its published keys it is for, its signature shows.

    `SignatureRefused` where it is signed for none of them.
    """
    for signing in (key for key in keys if key.purpose == SIGNING):
        for kem in (key for key in keys if key.purpose == KEM):
            try:
                check_grant(wrapped, signature, kem.public_key, context, signing.public_key)
            except (SignatureRefused, ValueRefused):
                continue
            return Grant(context, None, kem.suite, fingerprint(kem.public_key), wrapped, signature)
    raise SignatureRefused


def _read(data: bytes) -> PublicFile:
    try:
        return read_public_file(data)
    except KeyFileRefused:
        raise Invalid(errors=[RowError(0, "public_file", "public_file_broken")]) from None


def _bare(given: str) -> str:
    """A fingerprint as people write it: in groups, in either case."""
    return "".join(given.split()).replace("-", "").replace(":", "").lower()


def _rows(work: Work, org_id: UUID) -> list[OrganisationKey]:
    query = select(OrganisationKey).where(OrganisationKey.org_id == org_id).order_by(OrganisationKey.serial.desc())
    return list(work.session.scalars(query))


def _keys(work: Work, org_id: UUID) -> list[OrganisationKey]:
    return [row for row in _rows(work, org_id) if key_vouchers.stands(work, row)]


@contextmanager
def _told_of(work: Work, org_id: UUID) -> Iterator[None]:
    """Row security shows the keys of the organisation that the transaction says it was told of."""
    setting = text("select set_config('app.told_org_id', :id, true)")
    work.session.execute(setting, {"id": str(org_id)})
    yield
    work.session.execute(setting, {"id": ""})


def _newest(keys: list[OrganisationKey]) -> Keys | None:
    kem = next((key for key in keys if key.purpose == KEM), None)
    signing = next((key for key in keys if key.purpose == SIGNING), None)
    return Keys(kem, signing) if kem and signing else None


def _partners(work: Work) -> dict[UUID, str]:
    """Whom the agreements of one's own name, by name."""
    mine = work.actor.side == LENDER
    id_, name = (Agreement.agency_id, Agreement.agency_name) if mine else (Agreement.lender_id, Agreement.lender_name)
    rows = work.session.execute(select(id_, func.max(name)).where(tenancy.own(work, Agreement)).group_by(id_))
    return dict(sorted(((org_id, found) for org_id, found in rows), key=lambda row: row[1]))


def _party(work: Work, org_id: UUID, name: str) -> PartyKeys:
    keys = find(work, org_id)
    if keys is None or work.actor.side != LENDER:
        return PartyKeys(org_id, name, keys, [], APPROVALS_FIRST)
    approvals, needs = _approvals(work, work.tenant_id, keys.kem), _needed(work, work.tenant_id, keys.kem)
    return PartyKeys(org_id, name, keys, approvals, needs)


def _approvals(work: Work, lender_id: UUID, key: OrganisationKey) -> list[KeyApproval]:
    rows = work.session.scalars(
        select(KeyApproval)
        .where(
            tenancy.of_lender(lender_id, KeyApproval),
            KeyApproval.agency_id == key.org_id,
            KeyApproval.purpose == key.purpose,
            KeyApproval.serial == key.serial,
            KeyApproval.fingerprint == fingerprint(key.public_key),
        )
        .order_by(KeyApproval.approved_at)
    )
    return [row for row in rows if key_vouchers.stands(work, row)]


def _needed(work: Work, lender_id: UUID, key: OrganisationKey) -> int:
    """Two once the lender has known another key of the agency: one that changes is what an attacker would show.

    Signed or not: an approval that somebody wrote there asks for more here, never for less.
    """
    earlier = select(func.count()).where(
        tenancy.of_lender(lender_id, KeyApproval),
        KeyApproval.agency_id == key.org_id,
        KeyApproval.purpose == key.purpose,
        or_(KeyApproval.serial != key.serial, KeyApproval.fingerprint != fingerprint(key.public_key)),
    )
    return APPROVALS_LATER if work.session.scalar(earlier) else APPROVALS_FIRST

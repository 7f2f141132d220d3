"""What a lender's tool answers to an order (`consign-answer/1`): read, and believed for its signature alone."""

from typing import Any, Final
from uuid import UUID

from crypto import strict
from crypto.canonical import canonical
from crypto.errors import SignatureRefused, ValueRefused, WrapBroken
from crypto.fields import FIELD_CLASSES
from crypto.grants import Grant, WrapContext, check_grant, fingerprint, verify_signature
from crypto.terms import Terms, digest_of
from models.errors import Invalid, RowError
from models.key_order import ERASE, LEASE, REKEY, REWRAP

FORMAT: Final = "consign-answer/1"
ENVELOPE: Final = ("format", "order", "kind", "signature")
MEMBERS: Final = {
    LEASE: ("grants", "cases"),
    REKEY: ("epoch", "classes", "cases"),
    REWRAP: ("grants",),
    ERASE: ("record", "record_signature"),
}


def read_answer(data: bytes, order_id: UUID, kind: str, signing_public: bytes) -> dict[str, Any]:
    """The answer's own members. Invalid where it is malformed, another order's, or not signed by this key."""
    try:
        answer = strict.parse(data)
        if answer.get("format") != FORMAT:
            raise ValueError("of another format")
        if answer.get("order") != str(order_id) or answer.get("kind") != kind:
            raise refused("answer_of_another_order")
        strict.exactly(answer, *ENVELOPE, *MEMBERS[kind])
        signature = strict.unbase64(answer.pop("signature"), 64)
        verify_signature(signing_public, "answer", canonical(answer), signature)
    except (ValueError, ValueRefused):
        raise refused("answer_broken") from None
    except SignatureRefused:
        raise refused("answer_unsigned") from None
    return {name: answer[name] for name in MEMBERS[kind]}


def refused(code: str) -> Invalid:
    """The answer as a whole is refused, and nothing of it was carried out."""
    return Invalid("answer_refused", [RowError(0, "*", code)])


def read_classes(value: object) -> dict[str, Any]:
    """A member for each field class and for nothing else."""
    try:
        return strict.exactly(value, *FIELD_CLASSES)
    except ValueError:
        raise refused("answer_incomplete") from None


def read_grant(
    document: object, context: WrapContext, terms: Terms | None, recipient_public: bytes, signing_public: bytes
) -> Grant:
    """The grant of exactly this context and these terms, wrapped to this key and signed; else `answer_keys`."""
    if terms is not None:
        context = context._replace(terms_digest=digest_of(terms), expires_at=strict.integer(terms["expires_at"]))
    try:
        grant = Grant.from_json(document)
        if grant.context == context and grant.terms == terms and grant.recipient == fingerprint(recipient_public):
            check_grant(grant.wrapped, grant.signature, recipient_public, context, signing_public)
            return grant
    except (WrapBroken, SignatureRefused, ValueRefused):
        pass
    raise refused("answer_keys")


def read_cases(value: object, ids: set[UUID]) -> dict[UUID, Any]:
    """What the answer says of each of these cases, of every one and of no other, by case: an object by id."""
    try:
        found = {UUID(bytes=strict.raw_id(name)): one for name, one in strict.mapping(value).items()}
    except ValueError:
        raise refused("answer_broken") from None
    if found.keys() != ids:
        raise refused("answer_incomplete")
    return found

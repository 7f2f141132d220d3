"""A grant opens for the client it was made for, while it holds, and never after a newer one."""

import json
from typing import Any

import pytest

from crypto.errors import CryptoError, Distrusted, SignatureRefused, ValueRefused, WrapBroken
from crypto.grants import Grant, RecipientKey, WrapContext, check_grant, make_grant, open_grant
from crypto.memory import Memory, fingerprint
from crypto.secret import Secret
from crypto.terms import case_terms, digest_of
from tests.crypto.parties import (
    AGENCY,
    AGENCY_ID,
    CASE,
    EXPIRES_AT,
    LENDER,
    LENDER_ID,
    NOW,
    PLACEMENT,
    PORTFOLIO,
    REFERENCE,
    changed,
    flipped,
    keys_of,
    memory,
    terms,
)

KEY = Secret(b"k" * 32)
CONTEXT = WrapContext("identity", LENDER_ID, AGENCY_ID, PORTFOLIO, epoch=2, serial=7)
OWN = WrapContext.of_class(LENDER_ID, PORTFOLIO, "identity", epoch=2, serial=7)
SIGNING = LENDER.public.signing


def grant(context: WrapContext = CONTEXT, recipient: bytes = AGENCY.public.kem) -> Grant:
    return make_grant(KEY, recipient, context, LENDER.sign, terms())


def opened(made: Grant, remembered: Memory | None = None, now: int = NOW) -> Secret:
    return open_grant(made, AGENCY.kem, SIGNING, remembered or memory(), now)


def code_of(made: Grant, remembered: Memory | None = None, now: int = NOW) -> str:
    with pytest.raises(Distrusted) as caught:
        opened(made, remembered, now)
    return caught.value.code


def test_a_grant_opens_for_its_grantee() -> None:
    assert opened(grant()) == KEY


@pytest.mark.parametrize("suite", ["x25519", "xwing"])
def test_a_grant_survives_its_json(suite: str) -> None:
    made = grant(recipient=keys_of(AGENCY_ID, suite).public.kem)
    assert Grant.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_lenders_own_grant_survives_its_json() -> None:
    for context in (OWN, WrapContext.of_lender("index-key", LENDER_ID)):
        made = make_grant(KEY, LENDER.public.kem, context, LENDER.sign)
        assert Grant.from_json(made.to_json()) == made


def test_a_lender_opens_its_own_without_a_pin() -> None:
    made = make_grant(KEY, LENDER.public.kem, OWN, LENDER.sign)
    assert open_grant(made, LENDER.kem, SIGNING, Memory(), NOW) == KEY


def test_terms_complete_the_context() -> None:
    context = grant().context
    assert (context.terms_digest, context.expires_at) == (digest_of(terms()), EXPIRES_AT)


@pytest.mark.parametrize(
    "context",
    [
        CONTEXT._replace(kind="contact"),
        CONTEXT._replace(granter=b"M" * 16),
        CONTEXT._replace(grantee=b"B" * 16),
        CONTEXT._replace(portfolio_id=b"Q" * 16),
        CONTEXT._replace(expires_at=EXPIRES_AT + 1),
    ],
)
def test_no_grant_is_made_under_terms_that_say_something_else(context: WrapContext) -> None:
    with pytest.raises(ValueRefused):
        grant(context)


def test_no_grant_to_another_is_made_without_terms() -> None:
    with pytest.raises(ValueRefused):
        make_grant(KEY, AGENCY.public.kem, CONTEXT, LENDER.sign)


def test_only_a_pinned_granter_is_believed() -> None:
    assert code_of(grant(), Memory()) == "key_unpinned"


def test_a_granter_whose_key_is_not_the_pinned_one_is_refused() -> None:
    remembered = memory()
    remembered.pin(LENDER_ID, "signing", fingerprint(bytes(32)), replace=True)
    assert code_of(grant(), remembered) == "key_changed"


def test_a_clock_set_back_does_not_revive_a_grant() -> None:
    remembered = memory()
    assert code_of(grant(), remembered, EXPIRES_AT) == "wrap_expired"
    assert code_of(grant(), remembered, EXPIRES_AT - 301) == "clock_behind"


def test_a_grant_holds_until_the_second_it_expires() -> None:
    assert opened(grant(), now=EXPIRES_AT - 1) == KEY
    assert code_of(grant(), now=EXPIRES_AT) == "wrap_expired"


def test_a_weaker_suite_than_the_recipients_is_refused() -> None:
    strong = keys_of(AGENCY_ID, "xwing")
    with pytest.raises(Distrusted) as caught:
        open_grant(grant(), strong.kem, SIGNING, memory(), NOW)
    assert caught.value.code == "suite_downgraded"


def test_a_wrap_relabelled_to_another_suite_is_refused() -> None:
    made = grant()
    assert code_of(made._replace(suite="xwing")) == "suite_downgraded"
    assert code_of(made._replace(wrapped=b"\x01\x02" + made.wrapped[2:])) == "suite_downgraded"


def test_a_grant_to_another_key_is_refused() -> None:
    assert code_of(grant(recipient=RecipientKey.generate("x25519").public)) == "wrap_retargeted"


def test_a_grant_that_nobody_or_somebody_else_signed_is_refused() -> None:
    made = grant()
    assert code_of(made._replace(signature=b"")) == "wrap_unsigned"
    assert code_of(make_grant(KEY, AGENCY.public.kem, CONTEXT, AGENCY.sign, terms())) == "wrap_unsigned"


def test_a_signature_for_another_purpose_does_not_stand_for_a_grant() -> None:
    made = make_grant(KEY, AGENCY.public.kem, CONTEXT, lambda _, message: LENDER.sign("answer", message), terms())
    assert code_of(made) == "wrap_unsigned"


OTHER_ID = "4d4d4d4d-4d4d-4d4d-4d4d-4d4d4d4d4d4d"


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("portfolio", OTHER_ID, "terms_changed"),
        ("portfolio", None, "terms_changed"),
        ("kind", "contact", "terms_changed"),
        ("kind", "index-key", "terms_changed"),
        ("epoch", 3, "wrap_unsigned"),
        ("serial", 8, "wrap_unsigned"),
        ("granter", OTHER_ID, "key_unpinned"),
        ("grantee", OTHER_ID, "terms_changed"),
        ("recipient", "00" * 32, "wrap_retargeted"),
        ("expires_at", EXPIRES_AT + 1, "terms_changed"),
        ("expires_at", None, "terms_changed"),
        ("terms", None, "terms_changed"),
        ("terms.expires_at", EXPIRES_AT + 1, "terms_changed"),
        ("terms.class", "contact", "terms_changed"),
        ("terms.placement", OTHER_ID, "wrap_unsigned"),
        ("terms.lender", OTHER_ID, "terms_changed"),
        ("suite", "xwing", "suite_downgraded"),
        ("signature", "", "wrap_unsigned"),
    ],
)
def test_no_member_of_a_grant_can_be_changed(path: str, value: Any, code: str) -> None:
    assert code_of(Grant.from_json(changed(grant().to_json(), path, value))) == code


def test_an_expiry_changed_with_its_terms_is_still_not_signed() -> None:
    later = changed(grant().to_json(), "expires_at", EXPIRES_AT + 1)
    assert code_of(Grant.from_json(changed(later, "terms.expires_at", EXPIRES_AT + 1))) == "wrap_unsigned"


def test_an_agencys_grant_cannot_be_dressed_as_the_lenders_own() -> None:
    document = grant().to_json() | {"grantee": grant().to_json()["granter"], "terms": None, "expires_at": None}
    assert code_of(Grant.from_json(document)) == "wrap_unsigned"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "consign-grant/2"),
        ("suite", "rsa"),
        ("suite", ["x25519"]),
        ("epoch", 0),
        ("epoch", "2"),
        ("epoch", 2.0),
        ("epoch", True),
        ("serial", 2**53),
        ("granter", "4C4C4C4C-4c4c-4c4c-4c4c-4c4c4c4c4c4c"),
        ("granter", "4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c"),
        ("recipient", "AB" * 32),
        ("recipient", "00" * 31),
        ("wrapped", "AQE"),
        ("wrapped", "AQF="),
        ("wrapped", None),
        ("signature", "AQ=\n="),
        ("terms", {}),
        ("terms", []),
        ("terms.kind", "all"),
        ("terms.format", "consign-terms/2"),
        ("terms.class", "\ud800"),
        ("terms.more", 1),
        ("more", 1),
        ("kind", ""),
    ],
)
def test_what_is_no_grant_is_refused(path: str, value: Any) -> None:
    with pytest.raises(WrapBroken):
        Grant.from_json(changed(grant().to_json(), path, value))


def test_an_older_grant_is_refused_after_a_newer_one() -> None:
    remembered = memory()
    assert opened(grant(), remembered) == opened(grant(), remembered) == KEY
    assert code_of(grant(CONTEXT._replace(serial=6)), remembered) == "wrap_replayed"
    assert opened(grant(CONTEXT._replace(serial=8)), remembered) == KEY
    assert code_of(grant(), remembered) == "wrap_replayed"


def test_an_older_key_is_refused_after_a_newer_one() -> None:
    remembered = memory()
    opened(grant(), remembered)
    assert code_of(grant(CONTEXT._replace(epoch=1, serial=9)), remembered) == "epoch_rolled_back"


def test_a_newer_key_begins_its_serials_anew() -> None:
    remembered = memory()
    opened(grant(), remembered)
    assert opened(grant(CONTEXT._replace(epoch=3, serial=1)), remembered) == KEY
    assert code_of(grant(CONTEXT._replace(epoch=2, serial=8)), remembered) == "epoch_rolled_back"


def test_serials_of_other_placements_cases_and_classes_are_their_own() -> None:
    remembered = memory()
    opened(grant(), remembered)
    first = CONTEXT._replace(serial=1)
    elsewhere = [
        make_grant(KEY, AGENCY.public.kem, first, LENDER.sign, terms() | {"placement": OTHER_ID}),
        make_grant(KEY, AGENCY.public.kem, first._replace(kind="notes"), LENDER.sign, terms("notes")),
        make_grant(KEY, AGENCY.public.kem, first, LENDER.sign, case_terms(terms(), CASE, REFERENCE, 1, bytes(32))),
    ]
    assert [opened(one, remembered) for one in elsewhere] == [KEY] * 3


def test_what_was_refused_leaves_nothing_in_memory() -> None:
    remembered = memory()
    with pytest.raises(Distrusted):
        opened(grant(CONTEXT._replace(serial=99))._replace(signature=bytes(64)), remembered)
    assert opened(grant(), remembered) == KEY


def test_a_scope_names_granter_place_case_and_kind() -> None:
    lender, portfolio = "4c" * 4 + "-4c4c" * 3 + "-" + "4c" * 6, "50" * 4 + "-5050" * 3 + "-" + "50" * 6
    placement, case = "70" * 4 + "-7070" * 3 + "-" + "70" * 6, "63" * 4 + "-6363" * 3 + "-" + "63" * 6
    assert (PLACEMENT, CASE) == (b"p" * 16, b"c" * 16)
    of_a_case = case_terms(terms(), CASE, REFERENCE, 1, bytes(32))
    index = WrapContext.of_lender("index-key", LENDER_ID)
    scopes = [
        grant().scope,
        make_grant(KEY, AGENCY.public.kem, CONTEXT, LENDER.sign, of_a_case).scope,
        make_grant(KEY, LENDER.public.kem, OWN, LENDER.sign).scope,
        make_grant(KEY, LENDER.public.kem, index, LENDER.sign).scope,
    ]
    assert scopes == [
        f"{lender}/{placement}/-/identity",
        f"{lender}/{placement}/{case}/identity",
        f"{lender}/{portfolio}/-/identity",
        f"{lender}/-/-/index-key",
    ]


def test_a_signature_is_over_one_wrap_recipient_and_context() -> None:
    made = make_grant(KEY, LENDER.public.kem, OWN, LENDER.sign)
    good = (made.wrapped, made.signature, LENDER.public.kem, OWN, SIGNING)
    check_grant(*good)
    for place, other in (
        (0, made.wrapped[:-1]),
        (0, b"\x02" + made.wrapped[1:]),
        (1, b""),
        (2, AGENCY.public.kem),
        (3, OWN._replace(serial=8)),
        (4, AGENCY.public.signing),
    ):
        with pytest.raises(SignatureRefused):
            check_grant(*good[:place], other, *good[place + 1 :])  # type: ignore[arg-type]


def test_no_single_bit_of_a_grant_can_change() -> None:
    text = json.dumps(grant().to_json(), separators=(",", ":")).encode()
    for altered in flipped(text):
        with pytest.raises((CryptoError, ValueError)) as caught:  # ValueError: no longer JSON.
            opened(Grant.from_json(json.loads(altered)))
        assert not isinstance(caught.value, CryptoError) or isinstance(caught.value, Distrusted | WrapBroken)

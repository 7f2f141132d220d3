"""Wraps open for one recipient and one context."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto.errors import SignatureRefused, ValueRefused, WrapBroken
from crypto.grants import (
    SUITE_BYTE,
    RecipientKey,
    WrapContext,
    fingerprint,
    signed_bytes,
    suite_of,
    unwrap,
    verify_signature,
    wrap,
)
from crypto.secret import Secret
from tests.crypto.parties import flipped

SEED = Secret(bytes(range(32)))
KEY = Secret(bytes(range(100, 132)))
CONTEXT = WrapContext.of_class(b"L" * 16, b"P" * 16, "identity", epoch=2, serial=7)
GRANTED = CONTEXT._replace(grantee=b"A" * 16, terms_digest=b"t" * 32, expires_at=1_767_225_600)

# Made by this package and frozen: a new release of the library must still open them.
FROZEN = {
    "x25519": (
        "0101a9507504330d8926c48d61e2f9f04d1e16c4cc2b7ff5bf519b91940706c34c44ed651bb3a97509c5ac076f7cfc441a9c"
        "d06078069d8dbf721e82b80a5a91089eb7957e26256baddd0693f93105a77cef"
    ),
    "xwing": (
        "0102d279fe665a637a3e3ecfa60b4f2005363f850f75361e2dac3e20e93ecc261d7a4a7995af266480838afbdfe07255f0ef"
        "22812cd2e558fcf2eb8652cd5791bdef6ec12647feee79743524c095ac35a8f1dfe6e4d2c0f460be18089697f87d4158b995"
        "9ddb6364b856a7d9fcc375de773a61791ba06b693f76e289ebf13d69f3346c38b6ee6fc4a6bee3e1ce0ba157baa4cc537ce6"
        "93eec54c9d7a3020ca47942fc87987724ffbeb7958452dc698ba2a3faeb4f3e303e0bb27a91620cb60222a46797f2ab589df"
        "42cad7ba570e5c3a79c5175b4e31e869c6b8be940952437ccbd283a081243c9182be627820f1e825812df09f93a12b8f8d76"
        "f7d739b7624c9e40f92abf57e9f963a6d4fe8a9fc0cd90afbbf60f6c9a7264d0ec90287f27e58b3fd305b34a3cd82898498d"
        "92d89e835ee27a57a0645b3d9ad89fd54da6f2e836c0501702f7d400f8b19bb71c5e142ff30038b7ff06ec9ae6e980c59af2"
        "23aa4b2c494709e46292a22ca1ca2fa8225b7773ae5ac4d3acedede15c4dafc39e1ae47519b917e6dea63c176f02bcc45aeb"
        "418a0f5d3cf191b91b485242995c881625c0244d1bbe1d758a931feef94a9efc0e1e3f406aa2f5c4d2ac1e6c05c4119ec9ef"
        "49c3c50ad826bc8090055b943782ad5fdeabafad3a826df509cf86b6ada977f80d9379ca3155cdf477390a98407c5349ab36"
        "3fada67a05fb77c3086229917529f350f0b4e1364df141e3ee6d59f5e794ad3b2ab36bdc72386ceef3d54ba2e4fcdb69a8ca"
        "7fe72427d77c8bb71f58637aa4698e46cd3535723666f9bb6eb2886251fe3ec7f389e7c5c3d3decd8af8955c6ced688ae632"
        "934700205a95a8bee3128528284768290fd069f3c02d3f14b7c2853624a3010f6485b434902c7af2136d173f2b64ae93c639"
        "c0d2ad59cdb1d2f867b27ae8da462c4b00108212f8b43d48bbfa4ce1ca74aefa3ea0b80e05bfaf41459c6abba6b81fad0c1b"
        "d63c7e222de2918679faacfd99b88a60e475f595bf98d47ea3546ebf249e5a25b12259ddbd038f9a3b87d09136cd7a6096c7"
        "8814be610ea7230968273b22c78c1aac18bf2818f4e065bbcee0b5dfa6dfd9c9e934aa71349c4afb8856215f51f4da983c0d"
        "e34ba114ca2f97170348e37d7d0351246b2df9dbebd9b58ebc5b6690b84c2f70fc9644971fc6994e18889a752f7c2764bc74"
        "3c4a72cf538e110fc60ad9c6fff5c7e7dc7895d9f3d38562ed4650fa475860fd7c6cda73b9bb1f401cba24009e86430f8ac2"
        "5073e92adbf75799539735e9ec3723c38dbc7c2122b215c6f62e17b529976e8728a2eb935dbdb99bf74d1af8a7bf35a4e4f9"
        "f2a7b912a1b3c8f65e3b71352dbbb2bc2e8d39f8a7721400f526666203affa9009727599e55dc7212c27bf0f18da2a293c1d"
        "8bcbd493075928d12ff286593a0cf72fadb0828a61f6f18f6c3d9b24970ed58c3cfec4498cde18281bfda87e192271e86c38"
        "add616ce72821dcb2e2985d1b450b66fa6304a432c48be1842dbf3e13189a2d04c4210821dd6ee810c14b8d579d6a4a19f3b"
        "d110bac7c86a08b0a410de730a3fc3be38fc553d8112af494f0a469e1932e115381ef5f20fcbf8496342a38242cff229695f"
        "d5f15aaab68392bb9e179d1e4a8235364e996716"
    ),
}


@pytest.fixture(params=sorted(SUITE_BYTE))
def recipient(request: pytest.FixtureRequest) -> RecipientKey:
    return RecipientKey(request.param, SEED)


def test_a_wrapped_key_comes_back(recipient: RecipientKey) -> None:
    assert unwrap(wrap(KEY, recipient.public, CONTEXT), recipient, CONTEXT) == KEY


def test_a_frozen_wrap_still_opens(recipient: RecipientKey) -> None:
    assert unwrap(bytes.fromhex(FROZEN[recipient.suite]), recipient, CONTEXT) == KEY


@pytest.mark.parametrize(("suite", "size"), [("x25519", 82), ("xwing", 1170)])
def test_a_wrap_has_the_size_its_format_says(suite: str, size: int) -> None:
    assert len(wrap(KEY, RecipientKey.generate(suite).public, CONTEXT)) == size


@pytest.mark.parametrize(
    "other",
    [
        CONTEXT._replace(granter=b"M" * 16, grantee=b"M" * 16),
        CONTEXT._replace(portfolio_id=b"Q" * 16),
        CONTEXT._replace(kind="contact"),
        CONTEXT._replace(epoch=3),
        CONTEXT._replace(serial=8),
        CONTEXT._replace(epoch=27, serial=0),
        WrapContext.of_lender("index-key", b"L" * 16, epoch=2, serial=7),
        WrapContext.of_lender("ledger-key", b"L" * 16, epoch=2, serial=7),
        GRANTED,
    ],
)
def test_another_context_does_not_open(recipient: RecipientKey, other: WrapContext) -> None:
    with pytest.raises(WrapBroken):
        unwrap(wrap(KEY, recipient.public, CONTEXT), recipient, other)


def test_another_recipient_does_not_open(recipient: RecipientKey) -> None:
    with pytest.raises(WrapBroken):
        unwrap(wrap(KEY, recipient.public, CONTEXT), RecipientKey.generate(recipient.suite), CONTEXT)


def test_the_suite_is_the_keys_never_the_wraps() -> None:
    x25519, xwing = RecipientKey("x25519", SEED), RecipientKey("xwing", SEED)
    wrapped = wrap(KEY, x25519.public, CONTEXT)
    relabelled = wrapped[:1] + SUITE_BYTE["xwing"] + wrapped[2:]
    for recipient, sealed in ((xwing, wrapped), (xwing, relabelled), (x25519, relabelled)):
        with pytest.raises(WrapBroken):
            unwrap(sealed, recipient, CONTEXT)


def test_no_single_bit_of_a_wrap_can_change(recipient: RecipientKey) -> None:
    # The highest bit of an X25519 point is ignored by RFC 7748; HPKE binds the bytes themselves, so it counts too.
    for altered in flipped(wrap(KEY, recipient.public, CONTEXT)):
        with pytest.raises(WrapBroken):
            unwrap(altered, recipient, CONTEXT)


def test_no_truncated_or_extended_wrap_opens(recipient: RecipientKey) -> None:
    wrapped = wrap(KEY, recipient.public, CONTEXT)
    for altered in (*(wrapped[:size] for size in range(len(wrapped))), wrapped + b"\x00"):
        with pytest.raises(WrapBroken):
            unwrap(altered, recipient, CONTEXT)


@pytest.mark.parametrize(
    "other",
    [
        GRANTED._replace(granter=b"M" * 16),
        GRANTED._replace(grantee=b"B" * 16),
        GRANTED._replace(terms_digest=b"u" * 32),
        GRANTED._replace(expires_at=1_767_225_601),
        CONTEXT,
    ],
)
def test_what_is_granted_to_another_opens_under_its_terms_alone(recipient: RecipientKey, other: WrapContext) -> None:
    wrapped = wrap(KEY, recipient.public, GRANTED)
    assert unwrap(wrapped, recipient, GRANTED) == KEY
    with pytest.raises(WrapBroken):
        unwrap(wrapped, recipient, other)


def test_the_context_is_spelled_as_its_format_says() -> None:
    parts = (b"xwing", b"P" * 16, b"identity", b"2", b"7", b"L" * 16, b"A" * 16, b"f" * 32, b"t" * 32, b"1767225600")
    expected = b"consign/grant/1\x00" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert GRANTED.info("xwing", b"f" * 32) == expected


@pytest.mark.parametrize(
    "context",
    [
        WrapContext.of_class(b"L" * 16, b"", "identity"),
        WrapContext.of_class(b"L" * 16, b"P" * 16, "index-key"),
        WrapContext.of_class(b"L" * 16, b"P" * 16, "class-key"),
        WrapContext.of_lender("identity", b"L" * 16),
        WrapContext.of_lender("any-key", b"L" * 16),
        CONTEXT._replace(terms_digest=b"t" * 32),
        CONTEXT._replace(expires_at=0),
        GRANTED._replace(terms_digest=b""),
        GRANTED._replace(expires_at=None),
        GRANTED._replace(kind="index-key", portfolio_id=b""),
    ],
)
def test_a_context_that_contradicts_itself_is_refused(recipient: RecipientKey, context: WrapContext) -> None:
    with pytest.raises(ValueRefused):
        wrap(KEY, recipient.public, context)


@pytest.mark.parametrize(
    "public", [b"", b"\x01", b"\x01" + bytes(32), b"\x01" + b"k" * 31, b"\x02" + bytes(32), b"\x03" + b"k" * 32]
)
def test_a_public_key_of_no_use_is_refused(public: bytes) -> None:
    with pytest.raises(ValueRefused):
        wrap(KEY, public, CONTEXT)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_only_keys_of_32_bytes_are_wrapped(recipient: RecipientKey, size: int) -> None:
    with pytest.raises(ValueRefused):
        wrap(Secret(bytes(size)), recipient.public, CONTEXT)


def test_an_xwing_seed_gives_the_published_public_key() -> None:
    # draft-connolly-cfrg-xwing-kem, first test vector: the beginning and the end of its 1,216 bytes.
    seed = Secret(bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"))
    public = RecipientKey("xwing", seed).public[1:]
    assert public[:32].hex() == "e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5"
    assert public[-16:].hex() == "23593d4ba32d9abac8cd049040ef6534"


def test_a_public_key_names_its_suite(recipient: RecipientKey) -> None:
    assert suite_of(recipient.public) == recipient.suite
    assert len(fingerprint(recipient.public)) == 32


def test_the_default_suite_is_post_quantum() -> None:
    assert RecipientKey.generate().suite == "xwing"


def test_an_unknown_suite_has_no_key() -> None:
    with pytest.raises(ValueRefused):
        RecipientKey("rsa", SEED)


def test_a_signature_stands_for_its_purpose_message_and_key_alone() -> None:
    private = Ed25519PrivateKey.from_private_bytes(SEED.reveal())
    public = private.public_key().public_bytes_raw()
    signature = private.sign(signed_bytes("receipt", b"message"))
    verify_signature(public, "receipt", b"message", signature)
    for altered in (
        (public, "grant", b"message", signature),
        (public, "receipt", b"message.", signature),
        (bytes(32), "receipt", b"message", signature),
        (b"short", "receipt", b"message", signature),
        (public, "receipt", b"message", signature[:-1]),
        (public, "receipt", b"message", bytes([signature[0] ^ 1]) + signature[1:]),
    ):
        with pytest.raises(SignatureRefused):
            verify_signature(*altered)

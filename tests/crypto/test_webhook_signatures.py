"""Signatures of webhooks: the published example, several keys at once, and what must not verify."""

import pytest

from crypto.secret import Secret
from crypto.webhooks import new_secret, parse_secret, sign, told, verify

# As the libraries of the Standard Webhooks project test themselves.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_comes_out_as_published() -> None:
    assert sign([parse_secret(SECRET)], *MESSAGE) == SIGNATURE
    assert verify(parse_secret(SECRET), *MESSAGE, SIGNATURE)


def test_with_two_secrets_each_reader_finds_its_own() -> None:
    old, new = new_secret(), new_secret()
    both = sign([new, old], *MESSAGE)
    assert both.count("v1,") == 2
    assert verify(old, *MESSAGE, both)
    assert verify(new, *MESSAGE, both)


def test_a_secret_is_told_and_read_back() -> None:
    secret = new_secret()
    assert parse_secret(told(secret)) == secret
    assert told(secret).removeprefix("whsec_") not in repr(secret)


@pytest.mark.parametrize(
    ("message_id", "seconds", "body"),
    [
        ("msg_p5jXN8AQM9LWM0D4loKWxJeK", *MESSAGE[1:]),
        (MESSAGE[0], 1614265331, MESSAGE[2]),
        (*MESSAGE[:2], b'{"test":2432232314}'),
        (*MESSAGE[:2], b""),
    ],
)
def test_what_was_changed_does_not_verify(message_id: str, seconds: int, body: bytes) -> None:
    assert not verify(parse_secret(SECRET), message_id, seconds, body, SIGNATURE)


@pytest.mark.parametrize(
    "signatures", ["", "v1,", SIGNATURE.removeprefix("v1,"), SIGNATURE.replace("v1,", "v2,"), SIGNATURE[:-1], "v1,é"]
)
def test_what_is_no_signature_does_not_verify(signatures: str) -> None:
    assert not verify(parse_secret(SECRET), *MESSAGE, signatures)


def test_anothers_secret_does_not_verify() -> None:
    assert not verify(Secret.random(), *MESSAGE, SIGNATURE)


@pytest.mark.parametrize("text", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", "whsec_MfKQ9r8"])
def test_what_is_no_secret_is_not_read(text: str) -> None:
    with pytest.raises(ValueError):
        parse_secret(text)


def test_an_id_that_could_be_read_two_ways_is_not_signed() -> None:
    with pytest.raises(AssertionError):
        sign([new_secret()], "msg.1", 1, b"")

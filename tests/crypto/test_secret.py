"""A Secret shows itself to nobody who does not ask."""

import copy
import pickle

import pytest

from crypto.secret import Secret

SECRET = Secret(b"correct horse battery staple 123")


@pytest.mark.parametrize("shown", [repr(SECRET), str(SECRET), f"{SECRET}", repr([SECRET]), repr({"key": SECRET})])
def test_no_rendering_shows_the_bytes(shown: str) -> None:
    assert "horse" not in shown


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_neither_pickled_nor_copied(leak) -> None:
    with pytest.raises(TypeError, match="neither pickled nor copied"):
        leak(SECRET)


def test_a_secret_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(SECRET)


def test_secrets_are_equal_by_their_bytes() -> None:
    assert Secret(b"a" * 32) == Secret(b"a" * 32)
    assert Secret(b"a" * 32) != Secret(b"b" * 32)
    assert Secret(b"a" * 32) != b"a" * 32


def test_random_secrets_differ() -> None:
    assert Secret.random() != Secret.random()
    assert len(Secret.random().reveal()) == 32

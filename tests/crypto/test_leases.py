"""A lease opens for its own placement, case, class and epoch alone."""

import pytest

from crypto import cobblestone
from crypto.errors import SealBroken
from crypto.leases import LeasedKey, LeaseName, open_lease, seal_lease
from crypto.secret import Secret
from tests.crypto.parties import flipped

LEASE_KEY, CASE_KEY = Secret(b"l" * 32), Secret(b"k" * 32)
NAME = LeaseName(b"p" * 16, b"c" * 16, "identity", 1)


def test_a_leased_key_comes_back_with_its_version() -> None:
    assert open_lease(LEASE_KEY, NAME, seal_lease(LEASE_KEY, NAME, CASE_KEY, 7)) == LeasedKey(CASE_KEY, 7)


def test_a_lease_has_the_size_its_format_says() -> None:
    assert len(seal_lease(LEASE_KEY, NAME, CASE_KEY, 0)) == 108


@pytest.mark.parametrize(
    "moved",
    [
        NAME._replace(placement_id=b"q" * 16),
        NAME._replace(case_id=b"d" * 16),
        NAME._replace(field_class="contact"),
        NAME._replace(epoch=2),
        LeaseName(b"c" * 16, b"p" * 16, "identity", 1),
    ],
)
def test_a_lease_moved_to_another_place_does_not_open(moved: LeaseName) -> None:
    with pytest.raises(SealBroken):
        open_lease(LEASE_KEY, moved, seal_lease(LEASE_KEY, NAME, CASE_KEY, 1))


def test_another_lease_key_does_not_open() -> None:
    with pytest.raises(SealBroken):
        open_lease(CASE_KEY, NAME, seal_lease(LEASE_KEY, NAME, CASE_KEY, 1))


def test_no_single_bit_of_a_lease_can_change() -> None:
    for altered in flipped(seal_lease(LEASE_KEY, NAME, CASE_KEY, 1)):
        with pytest.raises(SealBroken):
            open_lease(LEASE_KEY, NAME, altered)


def test_no_truncated_lease_opens() -> None:
    sealed = seal_lease(LEASE_KEY, NAME, CASE_KEY, 1)
    for size in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_lease(LEASE_KEY, NAME, sealed[:size])


@pytest.mark.parametrize("size", [0, 32, 35, 37, 64])
def test_what_is_no_key_and_version_is_no_lease(size: int) -> None:
    with pytest.raises(SealBroken):
        open_lease(LEASE_KEY, NAME, cobblestone.seal(LEASE_KEY.reveal(), NAME.context(), bytes(size)))

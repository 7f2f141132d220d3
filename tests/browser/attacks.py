"""What a malicious server may hand out instead of an honest package, and the code that each must be refused with."""

import base64
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from crypto import strict
from crypto.grants import fingerprint
from crypto.keyfile import PrivateKeys
from crypto.memory import Memory
from tests.browser.handed import EXPIRES_AT, SECOND, Handed, keys_of

Package = dict[str, Any]
Answer = tuple[Package, dict[str, str]]  # what the server says: a package, and the public keys of granters


class Attack(NamedTuple):
    """The client has opened `seen` before, if anything."""

    name: str
    code: str
    answer: Callable[[Handed], Answer]
    seen: Callable[[Handed], Package] | None = None


def swap_the_lenders_key(handed: Handed) -> Answer:
    attacker = keys_of(_id(handed.lender))
    return handed.package(granter=attacker), _published(attacker)


def grant_by_a_stranger(handed: Handed) -> Answer:
    stranger = keys_of()
    return handed.package(granter=stranger), _published(stranger)


def _honestly(**changes: Any) -> Callable[[Handed], Answer]:
    """A package that the lender did make, at another time or for another purpose."""
    return lambda handed: (handed.package(**changes), handed.signing_keys)


def _altered(change: Callable[[Handed, Package], None], **made: Any) -> Callable[[Handed], Answer]:
    def answer(handed: Handed) -> Answer:
        package = handed.package(**made)
        change(handed, package)
        return package, handed.signing_keys

    return answer


def _other(handed: Handed) -> Handed:
    """Another case of another portfolio of the same lender, in a placement of the same agency."""
    return Handed(handed.agency, handed.lender)


def swap_the_cell(handed: Handed, package: Package) -> None:
    package["cell"] = strict.to_base64(_other(handed).cell())


def swap_the_lease(handed: Handed, package: Package) -> None:
    package["lease"] = _other(handed).package()["lease"]


def swap_the_cell_of_a_class(handed: Handed, package: Package) -> None:
    package["cell"] = strict.to_base64(handed.cell("contact"))


def answer_with_another_case(handed: Handed) -> Answer:
    """All of it honest, but of another case than was asked for."""
    return _other(handed).package(), handed.signing_keys


def truncate_the_cell(handed: Handed, package: Package) -> None:
    package["cell"] = strict.to_base64(base64.b64decode(package["cell"])[:-1])


def flip_a_bit(handed: Handed, package: Package) -> None:
    raw = bytearray(base64.b64decode(package["cell"]))
    raw[70] ^= 1
    package["cell"] = strict.to_base64(bytes(raw))


def name_another_suite(handed: Handed, package: Package) -> None:
    package["grant"]["suite"] = "xwing"


def wrap_in_another_suite(handed: Handed, package: Package) -> None:
    wrapped = base64.b64decode(package["grant"]["wrapped"])
    package["grant"]["wrapped"] = strict.to_base64(wrapped[:1] + b"\x02" + wrapped[2:])


def aim_at_another_key(handed: Handed) -> Answer:
    """The lender's grant to an older key of the same agency."""
    older = keys_of(_id(handed.agency))
    return handed.package(grantee=older), handed.signing_keys


def rename_the_recipient(handed: Handed) -> Answer:
    """The lender's grant to an older key, said to be to the newest."""
    package, known = aim_at_another_key(handed)
    package["grant"]["recipient"] = fingerprint(handed.agency.public.kem).hex()
    return package, known


def cut_the_signature(handed: Handed, package: Package) -> None:
    package["grant"]["signature"] = ""


def sign_with_zeros(handed: Handed, package: Package) -> None:
    package["grant"]["signature"] = strict.to_base64(bytes(64))


def extend_the_grant(handed: Handed, package: Package) -> None:
    package["grant"]["expires_at"] = EXPIRES_AT + 1


def extend_grant_and_terms(handed: Handed, package: Package) -> None:
    package["grant"]["expires_at"] = package["grant"]["terms"]["expires_at"] = EXPIRES_AT + 1


def change_the_placement(handed: Handed, package: Package) -> None:
    package["placement"] = str(_other(handed).placement_id)


def change_the_placement_in_the_terms(handed: Handed, package: Package) -> None:
    package["placement"] = package["grant"]["terms"]["placement"] = str(_other(handed).placement_id)


def claim_another_serial(handed: Handed, package: Package) -> None:
    package["grant"]["serial"] = 9


def claim_another_version(handed: Handed, package: Package) -> None:
    package["version"] = 2


def add_a_member(handed: Handed, package: Package) -> None:
    package["more"] = 1


ATTACKS = (
    Attack("the lender's public key is swapped", "key_changed", swap_the_lenders_key),
    Attack("a lender nobody has pinned grants", "key_unpinned", grant_by_a_stranger),
    Attack(
        "an old wrap is brought back",
        "wrap_replayed",
        _honestly(serial=1),
        lambda handed: handed.package(serial=2),
    ),
    Attack("the cell is of another portfolio", "seal_broken", _altered(swap_the_cell)),
    Attack("the lease is of another case", "seal_broken", _altered(swap_the_lease)),
    Attack("the package is of another case", "terms_changed", answer_with_another_case),
    Attack(
        "the epoch is rolled back",
        "epoch_rolled_back",
        _honestly(epoch=1, serial=7),
        lambda handed: handed.package(epoch=2),
    ),
    Attack("the version is older than leased", "version_rolled_back", _honestly(version=1, leased_version=2)),
    Attack(
        "the version is older than seen",
        "version_rolled_back",
        _honestly(version=1),
        lambda handed: handed.package(version=2),
    ),
    Attack("the version is not the cell's", "seal_broken", _altered(claim_another_version)),
    Attack("another suite is named", "suite_downgraded", _altered(name_another_suite)),
    Attack("the wrap is of another suite", "suite_downgraded", _altered(wrap_in_another_suite)),
    Attack("the wrap is to an older key", "wrap_retargeted", aim_at_another_key),
    Attack("the wrap is said to be to the newest key", "wrap_unsigned", rename_the_recipient),
    Attack("the wrap is to another agency", "wrap_retargeted", lambda handed: _honestly(grantee=keys_of())(handed)),
    Attack("the expiry is altered", "terms_changed", _altered(extend_the_grant)),
    Attack("the expiry is altered in the terms too", "wrap_unsigned", _altered(extend_grant_and_terms)),
    Attack("the grant has expired", "wrap_expired", _honestly(expires_at=SECOND)),
    Attack("the grant is not signed", "wrap_unsigned", _altered(sign_with_zeros)),
    Attack("the signature is left out", "wrap_unsigned", _altered(cut_the_signature)),
    Attack("the serial is altered", "wrap_unsigned", _altered(claim_another_serial)),
    Attack("the class is swapped", "terms_changed", _honestly(field_class="contact")),
    Attack("the cell is of another class", "seal_broken", _altered(swap_the_cell_of_a_class)),
    Attack("the placement is changed", "terms_changed", _altered(change_the_placement)),
    Attack("the terms are changed", "wrap_unsigned", _altered(change_the_placement_in_the_terms)),
    Attack("the cell is cut short", "seal_broken", _altered(truncate_the_cell)),
    Attack("one bit is flipped", "seal_broken", _altered(flip_a_bit)),
    Attack("a member is added", "seal_broken", _altered(add_a_member)),
)


def memory_of(handed: Handed) -> Memory:
    """A client that has pinned the lender's key and seen nothing yet."""
    memory = Memory()
    memory.pin(handed.lender.organisation_id, "signing", fingerprint(handed.lender.public.signing))
    return memory


def _published(keys: PrivateKeys) -> dict[str, str]:
    return {strict.id_text(keys.organisation_id): strict.to_base64(keys.public.signing)}


def _id(keys: PrivateKeys) -> UUID:
    return UUID(bytes=keys.organisation_id)

"""The worked examples in crypto/README.md are what the code does."""

import base64
import hashlib
import json
import re
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto import cobblestone
from crypto.canonical import canonical
from crypto.cells import CellName, case_key, open_cell
from crypto.grants import Grant, RecipientKey, fingerprint, make_grant, open_grant
from crypto.keyfile import PrivateKeys, open_keyfile
from crypto.leases import LeasedKey, LeaseName, open_lease
from crypto.memory import Memory
from crypto.secret import Secret
from crypto.terms import digest_of

README = (Path(__file__).parents[2] / "crypto" / "README.md").read_text()


def example(name: str) -> dict[str, str]:
    block = README.split("## Worked examples")[1].split(f"### {name}\n")[1].split("```")[1]
    return dict(re.split(r" {2,}", line, maxsplit=1) for line in block.strip().splitlines())


def parts(name: str) -> dict[str, bytes]:
    """What an example prints in hex."""
    return {part: bytes.fromhex(text) for part, text in example(name).items() if re.fullmatch("([0-9a-f]{2})+", text)}


def test_the_cell_is_computed_as_printed() -> None:
    printed, raw = example("Cell"), parts("Cell")
    field_class, version = printed["class, version"].split(", ")
    name = CellName(raw["portfolio id"], raw["case reference"], field_class, int(version))
    fields = json.loads(printed["fields"])
    key = case_key(Secret(raw["class key"]), name.portfolio_id, name.case_reference, raw["case salt"])
    assert key.reveal() == raw["case key"]
    assert name.context() == raw["context"]
    assert raw["padded"].startswith(canonical(fields) + b"\x80")
    sealed = cobblestone.seal(key.reveal(), name.context(), raw["padded"], salt=raw["sealing salt"])
    assert sealed == raw["cell"]
    assert open_cell(key, name, sealed) == fields


def test_the_grant_opens_as_printed() -> None:
    printed, raw = example("Grant"), parts("Grant")
    agency = RecipientKey("x25519", Secret(raw["agency's KEM seed"]))
    grant = Grant.from_json(json.loads(printed["grant"]))
    assert (agency.public, fingerprint(agency.public)) == (raw["agency's KEM key"], raw["its fingerprint"])
    assert grant.terms is not None
    assert (canonical(grant.terms).decode(), digest_of(grant.terms)) == (printed["terms"], raw["terms digest"])
    assert grant.context.info(grant.suite, grant.recipient) == raw["info"]
    memory = Memory()
    memory.pin(raw["lender id"], "signing", fingerprint(raw["lender's signing key"]))
    opened = open_grant(grant, agency, raw["lender's signing key"], memory, now=1_767_225_599)
    assert opened.reveal() == raw["lease key"]


def test_the_grant_is_signed_and_shaped_as_printed() -> None:
    printed, raw = example("Grant"), parts("Grant")
    printed_grant = Grant.from_json(json.loads(printed["grant"]))
    lender = lender_keys()
    made = make_grant(
        Secret(raw["lease key"]), raw["agency's KEM key"], printed_grant.context, lender.sign, printed_grant.terms
    )
    assert made._replace(wrapped=b"", signature=b"") == printed_grant._replace(wrapped=b"", signature=b"")
    lp_info = len(raw["info"]).to_bytes(4) + raw["info"]
    sealed = printed_grant.wrapped[2:]
    message = lp_info + len(sealed).to_bytes(4) + sealed
    assert lender.sign("grant", message) == printed_grant.signature


def test_the_lease_is_computed_as_printed() -> None:
    raw, lease_key = parts("Lease"), Secret(parts("Grant")["lease key"])
    name = LeaseName(b"p" * 16, b"c" * 16, "identity", 1)
    case = Secret(parts("Cell")["case key"])
    assert name.context() == raw["context"]
    sealed = cobblestone.seal(lease_key.reveal(), name.context(), raw["plaintext"], salt=raw["sealing salt"])
    assert sealed == raw["lease"]
    assert open_lease(lease_key, name, sealed) == LeasedKey(case, 1)


def lender_keys() -> PrivateKeys:
    printed = example("Key file")
    return open_keyfile(printed["key file"].encode(), printed["passphrase"])


def test_the_key_file_opens_as_printed() -> None:
    keys, raw = lender_keys(), parts("Grant")
    assert keys.organisation_id == raw["lender id"]
    assert keys.signing.reveal() == raw["lender's signing seed"]
    assert keys.public.signing == raw["lender's signing key"]


def test_the_key_file_is_computed_as_printed() -> None:
    printed, raw = example("Key file"), parts("Key file")
    rounds = int(printed["rounds"])
    assert (
        hashlib.pbkdf2_hmac("sha256", printed["passphrase"].encode(), raw["salt"], rounds, 32) == raw["stretched key"]
    )
    sealed = AESGCM(raw["stretched key"]).encrypt(raw["nonce"], printed["plaintext"].encode(), raw["AAD"])
    assert base64.b64decode(json.loads(printed["key file"])["sealed"]) == raw["nonce"] + sealed


def test_the_readme_maps_every_file() -> None:
    for path in (Path(__file__).parents[2] / "crypto").glob("[a-z]*.py"):
        assert f"`{path.name}`" in README

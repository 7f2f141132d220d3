"""A platform that lies to the tool, attack by attack: each is found out by its own code, and the honest one passes.

The commands run as a lender's and an agency's people run them; the platform holds no key, but every file they send.
"""

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crypto import strict
from crypto.__main__ import main
from crypto.cells import CellName, case_key, seal_cell
from crypto.grants import X25519, Grant, open_grant
from crypto.keyfile import PrivateKeys, make_keys, open_keyfile, read_public_file
from crypto.logfile import entry_leaf_hash, write_log
from crypto.memory import Memory, fingerprint
from crypto.merkle import Frontier
from crypto.notes import Checkpoint, sign_note, verifier_key
from crypto.page import hash_of
from crypto.tool import pages
from portal.app import CONTENT_SECURITY_POLICY
from portal.page_hashes import STATIC, page_hashes
from portal.scripts import OPENER
from tests.crypto.exchange import AGENCY, CASES, EXPIRES_AT, LENDER, NOW, Platform

PASSPHRASE = "correct horse battery"
OTHER = UUID("01890000-0000-7000-8000-0000000000ff")
DAY = 86_400


class Reply(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The code that stands before the sentence of the last line."""
        return self.err.splitlines()[-1].split(":")[0] if self.code else ""


class Parties:
    """Both parties' folders and the platform between them; every command runs at `at`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.at = NOW
        self.platform: Platform

    def run(self, *words: str) -> int:
        return main([*words], clock=lambda: self.at)

    def write(self, name: str, document: object) -> str:
        path = self.home / name
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(document))
        return str(path)

    def order(self, document: dict[str, Any], *more: str) -> int:
        """The lender carries an order out; what comes of it is in `answer`."""
        (self.home / "answer").unlink(missing_ok=True)
        words = ("--key", self.path("lender.key"), "--memory", self.path("lender.memory"), "-o", self.path("answer"))
        return self.run(str(document["kind"]), self.write("order", document), *words, "--yes", *more)

    @property
    def answer(self) -> dict[str, Any]:
        return json.loads((self.home / "answer").read_text())

    def open(self, package: dict[str, Any], *more: str) -> int:
        """The agency opens what a release gave it."""
        answer = {"package": package, "signing_keys": {str(LENDER): self.public("lender")["signing"]}}
        words = ("--key", self.path("agency.key"), "--memory", self.path("agency.memory"))
        return self.run("open", self.write("package", answer), *words, *more)

    def path(self, name: str) -> str:
        return str(self.home / name)

    def public(self, party: str) -> dict[str, str]:
        return json.loads((self.home / f"{party}.key.pub").read_text())

    def keys(self, party: str) -> PrivateKeys:
        return open_keyfile((self.home / f"{party}.key").read_bytes(), PASSPHRASE)

    def corrected(self, number: str, mobile: str) -> None:
        """The lender corrects a field: the platform has its cell in a second version, and keeps the first."""
        lender = self.keys("lender")
        grant = Grant.from_json(self.platform.header["classes"]["contact"])
        key = open_grant(grant, lender.kem, lender.public.signing, Memory(), NOW)
        case = next(case for case in self.platform.cases if case["case_number"] == number)
        portfolio_id = grant.context.portfolio_id
        of_case = case_key(key, portfolio_id, number.encode(), strict.unbase64(case["salt"]))
        name = CellName(portfolio_id, number.encode(), "contact", 2)
        self.platform.second[number] = strict.to_base64(seal_cell(of_case, name, {"mobile": mobile}))


class LyingPlatform(Platform):
    """Keeps second versions beside the first ones."""

    second: dict[str, str]

    def newest(self, number: str) -> dict[str, Any]:
        return self.package(number) | {"version": 2, "cell": self.second[number]}

    def corrected_order(self, serial: int, number: str) -> dict[str, Any]:
        order = self.lease_order(serial)
        case = next(case for case in order["cases"] if case["reference"] == number)
        case["versions"]["contact"] = 2
        return order


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, pins and a sealed portfolio."""
    home = tmp_path_factory.mktemp("parties")
    parties = Parties(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSIGN_PASSPHRASE", PASSPHRASE)
        assert parties.run("keygen", str(LENDER), "-o", parties.path("lender.key")) == 0
        assert parties.run("keygen", str(AGENCY), "--suite", X25519, "-o", parties.path("agency.key")) == 0
        (home / "cases.csv").write_text(CASES)
        sealing = ("--key", parties.path("lender.key"), "-o", parties.path("sealed"))
        assert parties.run("seal", parties.path("cases.csv"), *sealing) == 0
    for memory, party, purpose in (("lender", "agency", "kem"), ("agency", "lender", "signing")):
        public = read_public_file((home / f"{party}.key.pub").read_bytes())
        trusted = Memory()
        trusted.pin(public.organisation_id, purpose, fingerprint(getattr(public, purpose)))
        trusted.write(home / f"{memory}.memory")
    return home


@pytest.fixture
def parties(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parties:
    """A placement whose keys are leased, serial 2, and from which the agency has opened a case."""
    monkeypatch.setenv("CONSIGN_PASSPHRASE", PASSPHRASE)
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / file.name).chmod(0o600)
    parties = Parties(tmp_path)
    kem = strict.unbase64(parties.public("agency")["kem"])
    parties.platform = LyingPlatform.of((tmp_path / "sealed").read_bytes(), kem)
    parties.platform.second = {}
    assert parties.order(parties.platform.lease_order(serial=2)) == 0
    parties.platform.leases = parties.answer
    assert parties.open(parties.platform.package("LN-3")) == 0
    return parties


@pytest.fixture
def reply(capsys: pytest.CaptureFixture[str]) -> Callable[[int], Reply]:
    return lambda code: Reply(code, *capsys.readouterr())


# --- the attacks: each hands one party something that an honest platform would not ---


def swapped_public_key(parties: Parties) -> int:
    attacker = make_keys(AGENCY.bytes, X25519)
    return parties.order(parties.platform.lease_order(3, agency_kem=strict.to_base64(attacker.public.kem)))


def an_agency_nobody_has_compared(parties: Parties) -> int:
    return parties.order(parties.platform.lease_order(3, agency=str(OTHER)))


def lease_for_another_agencys_pinned_key(parties: Parties) -> int:
    other = make_keys(OTHER.bytes, X25519)
    memory = Memory.read(parties.home / "lender.memory")
    memory.pin(OTHER.bytes, "kem", fingerprint(other.public.kem))
    memory.write(parties.home / "lender.memory")
    return parties.order(parties.platform.lease_order(3, agency_kem=strict.to_base64(other.public.kem)))


def swapped_signing_key(parties: Parties) -> int:
    """The platform plays the lender: its own key file in the lender's name, its own lease, its own public key."""
    attacker = make_keys(LENDER.bytes)
    package = parties.platform.package()
    answer = {"package": package, "signing_keys": {str(LENDER): strict.to_base64(attacker.public.signing)}}
    words = ("--key", parties.path("agency.key"), "--memory", parties.path("agency.memory"))
    return parties.run("open", parties.write("package", answer), *words)


def old_wrap(parties: Parties) -> int:
    before = parties.platform.package()
    assert parties.order(parties.platform.lease_order(serial=3)) == 0
    parties.platform.leases = parties.answer
    assert parties.open(parties.platform.package()) == 0
    return parties.open(before)


def replayed_order(parties: Parties) -> int:
    return parties.order(parties.platform.lease_order(serial=1))


def another_cases_cell(parties: Parties) -> int:
    return parties.open(parties.platform.package() | {"cell": parties.platform.package("LN-2")["cell"]})


def another_portfolios_cell(parties: Parties) -> int:
    (parties.home / "sealed").unlink()
    sealing = ("--key", parties.path("lender.key"), "-o", parties.path("sealed"))
    assert parties.run("seal", parties.path("cases.csv"), *sealing) == 0
    other = Platform.of((parties.home / "sealed").read_bytes(), b"")
    return parties.open(parties.platform.package() | {"cell": other.cases[0]["cells"]["contact"]})


def another_portfolios_class_key(parties: Parties) -> int:
    order = parties.platform.lease_order(3)
    order["terms_base"]["portfolio"] = str(OTHER)
    return parties.order(order)


def rolled_back_epoch(parties: Parties) -> int:
    before = parties.platform.package()
    assert parties.order(parties.platform.rekey_order()) == 0
    parties.platform.take_rekeyed(parties.answer)
    assert parties.order(parties.platform.lease_order(serial=1)) == 0
    parties.platform.leases = parties.answer
    assert parties.open(parties.platform.package()) == 0
    return parties.open(before)


def rolled_back_epoch_of_an_order(parties: Parties) -> int:
    before = parties.platform.lease_order(serial=9)
    assert parties.order(parties.platform.rekey_order()) == 0
    parties.platform.take_rekeyed(parties.answer)
    assert parties.order(parties.platform.lease_order(serial=3)) == 0
    return parties.order(before)


def rolled_back_version(parties: Parties) -> int:
    """The agency has never seen the newer cell: its lease says that there is one."""
    parties.corrected("LN-1", "13700000000")
    assert parties.order(parties.platform.corrected_order(3, "LN-1")) == 0
    parties.platform.leases = parties.answer
    return parties.open(parties.platform.package("LN-1"))


def rolled_back_version_of_what_was_seen(parties: Parties) -> int:
    """An old lease, that the newer cell opens with too: the agency has seen the newer one."""
    parties.corrected("LN-1", "13700000000")
    assert parties.open(parties.platform.newest("LN-1")) == 0
    return parties.open(parties.platform.package("LN-1"))


def rolled_back_version_in_an_order(parties: Parties) -> int:
    parties.corrected("LN-1", "13700000000")
    assert parties.order(parties.platform.corrected_order(3, "LN-1")) == 0
    return parties.order(parties.platform.lease_order(serial=4))


def downgraded_suite(parties: Parties) -> int:
    package = parties.platform.package()
    package["grant"]["suite"] = "xwing"
    return parties.open(package)


def downgraded_suite_in_an_order(parties: Parties) -> int:
    order = parties.platform.lease_order(3)
    order["classes"]["contact"]["suite"] = "x25519"
    return parties.order(order)


def altered_expiry(parties: Parties) -> int:
    """In the grant and in its terms, so that both agree."""
    package = parties.platform.package()
    package["grant"]["expires_at"] = package["grant"]["terms"]["expires_at"] = EXPIRES_AT + 365 * DAY
    return parties.open(package)


def altered_expiry_beside_the_terms(parties: Parties) -> int:
    package = parties.platform.package()
    package["grant"]["expires_at"] = EXPIRES_AT + 365 * DAY
    return parties.open(package)


def expired(parties: Parties) -> int:
    parties.at = EXPIRES_AT
    return parties.open(parties.platform.package())


def expired_and_the_clock_set_back(parties: Parties) -> int:
    parties.at = EXPIRES_AT
    assert parties.order(parties.platform.erase_order()) == 0  # The clock is seen at any command that goes through.
    parties.at = NOW
    return parties.order(parties.platform.lease_order(3))


def unsigned(parties: Parties) -> int:
    package = parties.platform.package()
    package["grant"]["signature"] = strict.to_base64(bytes(64))
    return parties.open(package)


def a_class_key_of_the_platforms_own(parties: Parties) -> int:
    """Wrapped to the lender rightly, for a key that the platform knows: leases under it would open to it."""
    order = parties.platform.lease_order(3)
    attacker = make_keys(LENDER.bytes)
    grant = Grant.from_json(order["classes"]["contact"])
    forged = grant._replace(signature=attacker.sign("grant", grant.wrapped))
    order["classes"]["contact"] = forged.to_json()
    return parties.order(order)


def swapped_class(parties: Parties) -> int:
    other = parties.platform.package("LN-1", "identity")
    return parties.open(parties.platform.package() | {name: other[name] for name in ("grant", "lease", "cell")})


def another_class_than_asked_for(parties: Parties) -> int:
    return parties.open(parties.platform.package("LN-1", "identity"), "--class", "contact")


def another_case_than_asked_for(parties: Parties) -> int:
    wanted = str(parties.platform.case_id("LN-2"))
    return parties.open(parties.platform.package("LN-1"), "--case", wanted)


def another_cases_lease(parties: Parties) -> int:
    return parties.open(parties.platform.package() | {"lease": parties.platform.package("LN-2")["lease"]})


def retargeted(parties: Parties) -> int:
    package = parties.platform.package()
    package["grant"]["grantee"] = package["grant"]["terms"]["agency"] = str(OTHER)
    return parties.open(package)


def retargeted_to_another_key(parties: Parties) -> int:
    package = parties.platform.package()
    package["grant"]["recipient"] = "00" * 32
    return parties.open(package)


def changed_terms(parties: Parties) -> int:
    return parties.open(parties.platform.package() | {"placement": str(OTHER)})


def changed_terms_on_both_sides(parties: Parties) -> int:
    package = parties.platform.package() | {"placement": str(OTHER)}
    package["grant"]["terms"]["placement"] = str(OTHER)
    return parties.open(package)


def truncated_package(parties: Parties) -> int:
    path = Path(parties.write("package", parties.platform.package()))
    path.write_bytes(path.read_bytes()[:-40])
    words = ("--key", parties.path("agency.key"), "--memory", parties.path("agency.memory"))
    return parties.run("open", str(path), *words)


def truncated_cell(parties: Parties) -> int:
    cell = strict.unbase64(parties.platform.package()["cell"])
    return parties.open(parties.platform.package() | {"cell": strict.to_base64(cell[:-1])})


def an_order_for_another_lender(parties: Parties) -> int:
    return parties.order(parties.platform.lease_order(3, lender=str(OTHER)))


def a_case_twice(parties: Parties) -> int:
    order = parties.platform.lease_order(3)
    order["cases"].append(order["cases"][0])
    return parties.order(order)


def a_lease_without_end(parties: Parties) -> int:
    """What has no sensible expiry is no order."""
    order = parties.platform.lease_order(3)
    order["terms_base"]["expires_at"] = None
    return parties.order(order)


def a_lease_that_has_ended(parties: Parties) -> int:
    order = parties.platform.lease_order(3)
    order["terms_base"]["expires_at"] = NOW - 1
    return parties.order(order)


def a_swapped_cell_to_seal_anew(parties: Parties) -> int:
    order = parties.platform.rekey_order()
    first, second = order["cases"][:2]
    first["cells"]["contact"], second["cells"]["contact"] = second["cells"]["contact"], first["cells"]["contact"]
    return parties.order(order)


ATTACKS: dict[Callable[[Parties], int], str] = {
    swapped_public_key: "key_changed",
    an_agency_nobody_has_compared: "key_unpinned",
    lease_for_another_agencys_pinned_key: "key_changed",
    swapped_signing_key: "key_changed",
    old_wrap: "wrap_replayed",
    replayed_order: "wrap_replayed",
    another_cases_cell: "seal_broken",
    another_portfolios_cell: "seal_broken",
    another_portfolios_class_key: "terms_changed",
    rolled_back_epoch: "epoch_rolled_back",
    rolled_back_epoch_of_an_order: "epoch_rolled_back",
    rolled_back_version: "version_rolled_back",
    rolled_back_version_of_what_was_seen: "version_rolled_back",
    rolled_back_version_in_an_order: "version_rolled_back",
    downgraded_suite: "suite_downgraded",
    downgraded_suite_in_an_order: "suite_downgraded",
    altered_expiry: "wrap_unsigned",
    altered_expiry_beside_the_terms: "terms_changed",
    expired: "wrap_expired",
    expired_and_the_clock_set_back: "clock_behind",
    unsigned: "wrap_unsigned",
    a_class_key_of_the_platforms_own: "wrap_unsigned",
    swapped_class: "terms_changed",
    another_class_than_asked_for: "terms_changed",
    another_case_than_asked_for: "terms_changed",
    another_cases_lease: "seal_broken",
    retargeted: "wrap_retargeted",
    retargeted_to_another_key: "wrap_retargeted",
    changed_terms: "terms_changed",
    changed_terms_on_both_sides: "wrap_unsigned",
    truncated_package: "seal_broken",
    truncated_cell: "seal_broken",
    an_order_for_another_lender: "order_of_another",
    a_case_twice: "order_repeats",
    a_lease_without_end: "order_broken",
    a_lease_that_has_ended: "wrap_expired",
    a_swapped_cell_to_seal_anew: "seal_broken",
}


@pytest.mark.parametrize(("attack", "code"), ATTACKS.items(), ids=lambda one: getattr(one, "__name__", one))
def test_the_attack_is_found_out_by_its_code(parties: Parties, reply, attack, code: str) -> None:
    reply(0)
    found = reply(attack(parties))
    assert (found.code, found.refusal) == (1, code)
    assert "13812345678" not in found.err


def test_a_refused_attack_teaches_the_memory_nothing(parties: Parties) -> None:
    before = [(parties.home / f"{party}.memory").read_bytes() for party in ("lender", "agency")]
    assert swapped_public_key(parties) == changed_terms(parties) == downgraded_suite_in_an_order(parties) == 1
    assert [(parties.home / f"{party}.memory").read_bytes() for party in ("lender", "agency")] == before


def test_the_honest_platform_passes(parties: Parties, reply) -> None:
    reply(0)
    opened = reply(parties.open(parties.platform.package("LN-1"), "--class", "contact"))
    assert (opened.code, json.loads(opened.out)["mobile"]) == (0, "13812345678")
    assert parties.order(parties.platform.rekey_order()) == 0
    parties.platform.take_rekeyed(parties.answer)
    assert parties.order(parties.platform.lease_order(serial=1)) == 0
    parties.platform.leases = parties.answer
    reply(0)
    again = reply(parties.open(parties.platform.package("LN-1")))
    assert (again.code, again.out) == (0, opened.out)


# --- the log ---

LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = f"consign.example/log/{LENDER}"
VERIFIER = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())
ENTRIES = [b'{"at":"2026-01-05T00:00:0%dZ"}' % number for number in range(6)]


def logged(path: Path, entries: list[bytes]) -> Path:
    frontier = Frontier()
    for entry in entries:
        frontier.append(entry_leaf_hash(bytes(32), entry))
    note = sign_note(Checkpoint(ORIGIN, frontier.size, frontier.root()).text(), ORIGIN, LOG_KEY)
    path.write_bytes(b"".join(write_log(note, [(bytes(32), entry) for entry in entries])))
    return path


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (lambda lines: lines[:3] + lines[4:], "line 4: not entry 2"),
        (lambda lines: lines[:-1], "line 8: the file ends before its checkpoint"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "line 3: not entry 1"),
    ],
    ids=["dropped_entry", "truncated_log", "swapped_entries"],
)
def test_a_log_that_was_cut_is_found_out_at_its_line(tmp_path: Path, reply, attack, says: str) -> None:
    path = logged(tmp_path / "log", ENTRIES)
    path.write_bytes(b"".join(attack(path.read_bytes().splitlines(keepends=True))))
    found = reply(main(["verify-log", str(path), "--key", VERIFIER]))
    assert (found.code, found.err.startswith(says)) == (1, True)


@pytest.mark.parametrize(
    ("entries", "says"),
    [([*ENTRIES[:5], b"{}", *ENTRIES[5:]], "forked"), (ENTRIES[:4], "rolled back")],
    ids=["forked_log", "rolled_back_log"],
)
def test_a_log_that_is_not_the_one_seen_before_is_found_out(
    tmp_path: Path, reply, entries: list[bytes], says: str
) -> None:
    words = ("--key", VERIFIER, "--witness", str(tmp_path / "witness"))
    assert main(["verify-log", str(logged(tmp_path / "log", ENTRIES)), *words]) == 0
    found = reply(main(["verify-log", str(logged(tmp_path / "log", entries)), *words]))
    assert (found.code, says in found.err) == (1, True)


# --- the page, over HTTP ---

# As the pages name them, each after those it stands on.
SCRIPTS = ("/static/js/theme.js", "/static/js/consign.js", *(f"/static/js/opener/{name}.js" for name in OPENER))
CHANGED = b"fetch('/x', {method: 'POST', body: localStorage.key})"


class Site(http.server.BaseHTTPRequestHandler):
    """The release's own static files, and a page that loads them; `bodies` are those that it has changed."""

    bodies: dict[str, bytes]

    def do_GET(self) -> None:
        path = STATIC / self.path.removeprefix("/static/")
        body = self.bodies.get(self.path) or (path.read_bytes() if path.is_file() else b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Tests say enough."""


def page_of(scripts: dict[str, str]) -> bytes:
    tags = [f'<script type="module" src="{path}" integrity="{digest}"></script>' for path, digest in scripts.items()]
    return f"<!doctype html><html><head>{''.join(tags)}</head><body></body></html>".encode()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """An address, and the bodies to change."""
    # Of the files as they stand: that the release's list is theirs, tests/portal/test_page_hashes.py says.
    monkeypatch.setattr(pages, "published_hashes", page_hashes)
    bodies = {"/": page_of({path: page_hashes()[path] for path in SCRIPTS})}
    handler = type("ThisSite", (Site,), {"bodies": bodies})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()
        thread.join()


def test_the_published_page_is_verified(site: tuple[str, dict[str, bytes]], reply) -> None:
    found = reply(main(["verify-page", site[0]]))
    assert (found.code, found.out.splitlines()[-1].startswith("verified")) == (0, True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"/static/js/opener/package.js": CHANGED}, "file_changed"),
        (
            {"/": page_of({"/static/js/theme.js": hash_of(CHANGED)}), "/static/js/theme.js": CHANGED},
            "integrity_changed",
        ),
        ({"/": page_of({"/static/js/more.js": hash_of(CHANGED)}), "/static/js/more.js": CHANGED}, "file_unknown"),
        ({"/": b"<script>" + CHANGED + b"</script>"}, "script_inline"),
    ],
    ids=["changed_script", "changed_script_and_hash", "added_script", "inline_script"],
)
def test_a_changed_page_is_found_out_by_its_code(
    site: tuple[str, dict[str, bytes]], reply, changes: dict[str, bytes], code: str
) -> None:
    address, bodies = site
    bodies.update(changes)
    found = reply(main(["verify-page", address]))
    assert (found.code, found.refusal) == (1, code)

"""python -m crypto, as a lender and an agency that hold their own keys run it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from crypto.__main__ import main
from crypto.keyfile import read_public_file
from crypto.memory import Memory, fingerprint
from tests.crypto.exchange import AGENCY, CASES, LENDER, Platform

ROOT = Path(__file__).parents[2]
PASSPHRASE = "四匹马 and a staple"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both parties' key files and public files: stretching a passphrase takes its time."""
    home = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSIGN_PASSPHRASE", PASSPHRASE)
        assert main(["keygen", str(LENDER), "-o", str(home / "lender.key")]) == 0
        assert main(["keygen", str(AGENCY), "--suite", "x25519", "-o", str(home / "agency.key")]) == 0
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder to work in, with a case file."""
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / file.name).chmod(0o600)
    (tmp_path / "cases.csv").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSIGN_PASSPHRASE", PASSPHRASE)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: its exit code, stdout and stderr."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def told(home: Path, party: str, purpose: str) -> str:
    """A fingerprint as its owner reads it out on the phone."""
    digits = fingerprint(getattr(read_public_file((home / f"{party}.key.pub").read_bytes()), purpose)).hex()
    return " ".join(digits[at : at + 4] for at in range(0, 64, 4)).upper()


def ordered(home: Path, kind: str, platform: Platform, **changes: object) -> str:
    path = home / f"{kind}.order"
    path.write_text(json.dumps(getattr(platform, f"{kind}_order")(**changes)))
    return path.name


@pytest.fixture
def platform(home: Path, run) -> Platform:
    """With the lender's portfolio, which its tool has sealed, and each party's key pinned by the other."""
    assert run("seal", "cases.csv", "--key", "lender.key", "-o", "sealed")[0] == 0
    assert run("pin", "agency.key.pub", *told(home, "agency", "kem").split(), "--memory", "lender.memory")[0] == 0
    assert run("pin", "lender.key.pub", told(home, "lender", "signing"), "--memory", "agency.memory")[0] == 0
    return Platform.of(
        (home / "sealed").read_bytes(), read_public_file((home / "agency.key.pub").read_bytes()).kem
    )  # fmt: skip


LEASE = ("--key", "lender.key", "--memory", "lender.memory", "-o", "answer", "--yes")
OPEN = ("--key", "agency.key", "--memory", "agency.memory", "--lender", "lender.key.pub")


def future(order: dict[str, object]) -> dict[str, object]:
    return order | {"terms_base": {**order["terms_base"], "expires_at": int(time.time()) + 86_400}}  # type: ignore[dict-item]


def leased(home: Path, platform: Platform, run) -> None:
    (home / "lease.order").write_text(json.dumps(future(platform.lease_order())))
    assert run("lease", "lease.order", *LEASE)[0] == 0
    platform.leases = json.loads((home / "answer").read_text())


def test_from_key_to_opened_case_by_commands_alone(home: Path, platform: Platform, run) -> None:
    leased(home, platform, run)
    (home / "package").write_text(json.dumps(platform.package("LN-1", "contact")))
    code, out, err = run("open", "package", *OPEN)
    assert code == 0
    assert json.loads(out) == {"address": "北京市朝阳区建国路1号", "mobile": "13812345678", "mobile_2": "13912345678"}
    assert "LN-1" in err


def test_a_release_is_opened_as_the_platform_answers_it(home: Path, platform: Platform, run) -> None:
    leased(home, platform, run)
    signing = json.loads((home / "lender.key.pub").read_text())["signing"]
    answer = {"release_id": "x", "package": platform.package(), "signing_keys": {str(LENDER): signing}}
    (home / "answer.json").write_text(json.dumps(answer))
    code, out, _ = run("open", "answer.json", "--key", "agency.key", "--memory", "agency.memory")
    assert (code, "13812345678" in out) == (0, True)


def test_the_command_line_itself_makes_keys_of_mode_0600(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crypto", "keygen", str(LENDER), "-o", str(tmp_path / "own.key")]
    environment = os.environ | {"CONSIGN_PASSPHRASE": PASSPHRASE}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    assert PASSPHRASE not in done.stdout


def test_a_key_file_is_never_overwritten(home: Path, run) -> None:
    before = (home / "lender.key").read_bytes()
    code, _, err = run("keygen", str(LENDER), "-o", "lender.key")
    assert (code, "exists already" in err) == (1, True)
    assert (home / "lender.key").read_bytes() == before


def test_a_public_file_that_stands_stops_keygen_before_it_makes_anything(home: Path, run) -> None:
    (home / "new.key.pub").write_text("")
    assert run("keygen", str(LENDER), "-o", "new.key")[0] == 1
    assert not (home / "new.key").exists()


def test_a_replacing_key_file_keeps_the_signing_and_index_keys(home: Path, run) -> None:
    assert run("keygen", str(LENDER), "-o", "new.key", "--replacing", "lender.key")[0] == 0
    old, new = (read_public_file((home / name).read_bytes()) for name in ("lender.key.pub", "new.key.pub"))
    assert (old.signing == new.signing, old.kem == new.kem) == (True, False)


def test_a_key_file_shows_the_fingerprints_of_its_public_file(home: Path, run) -> None:
    shown = run("fingerprint", "lender.key")[1]
    assert shown == run("fingerprint", "lender.key.pub")[1]
    assert told(home, "lender", "kem").lower() in shown


def test_a_typed_passphrase_has_to_be_typed_twice_alike(home: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSIGN_PASSPHRASE")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter(["first of all", "second of all"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
    code, _, err = run("keygen", str(LENDER), "-o", "new.key")
    assert (code, "differ" in err, (home / "new.key").exists()) == (1, True, False)


def test_no_passphrase_and_no_terminal_says_what_to_do(home: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSIGN_PASSPHRASE")
    code, _, err = run("fingerprint", "lender.key")
    assert (code, "CONSIGN_PASSPHRASE" in err) == (1, True)


# --- refusals: exit 1, one line that says what to do, no traceback and no value ---


def refused(result: tuple[int, str, str], says: str) -> bool:
    """One line on stderr, and nothing else."""
    code, out, err = result
    assert says in err
    assert PASSPHRASE not in err
    return (code, out, err.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        (b"}", b"", "damaged"),
        (b"consign-key/1", b"consign-key/2", "use the release that wrote it"),
        (b"PBKDF2-HMAC-SHA-256", b"none", "damaged"),
        (b"600000", b"600001", "passphrase is wrong"),
        (b"600000", b"100000", "rounds"),
        (b"600000", b"99999999", "rounds"),
    ],
)
def test_a_key_file_that_was_touched_says_what_to_do(home: Path, run, was: bytes, becomes: bytes, says: str) -> None:
    key = home / "lender.key"
    key.write_bytes(key.read_bytes().replace(was, becomes))
    assert refused(run("fingerprint", "lender.key"), says)


@pytest.mark.parametrize(
    ("passphrase", "words", "says"),
    [
        ("not it at all", ("fingerprint", "lender.key"), "passphrase is wrong"),
        ("short", ("keygen", str(LENDER), "-o", "x"), "characters"),
    ],
)
def test_a_passphrase_that_will_not_do_is_said(
    home: Path, run, monkeypatch: pytest.MonkeyPatch, passphrase: str, words: tuple[str, ...], says: str
) -> None:
    monkeypatch.setenv("CONSIGN_PASSPHRASE", passphrase)
    assert refused(run(*words), says)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fingerprint none.key", "No such file"),
        ("fingerprint cases.csv", "no public file"),
        ("keygen bank -o x", "organisation's id"),
        (f"keygen {AGENCY} -o x --replacing lender.key", "another organisation"),
        ("seal none.csv --key lender.key -o x", "No such file"),
        ("seal . --key lender.key -o x", "directory"),
        ("seal cases.csv --key none.key -o x", "make one with keygen"),
        ("seal cases.csv --key lender.key.pub -o x", "no key file"),
        (f"pin lender.key.pub {'00' * 32} --memory m", "do not trust"),
        ("pin lender.key.pub xyz --memory m", "64 hexadecimal"),
        (f"pin {LENDER} {'00' * 32} --memory m", "--use"),
        (f"pin {LENDER} {'00' * 32} --use kem --memory cases.csv", "chmod 600"),
        (f"pin {LENDER} {'00' * 32} --use kem --memory lender.key", "restore it"),
        ("lease cases.csv --key lender.key --memory m -o x", "order_broken"),
        ("open cases.csv --key agency.key --memory m", "do not open"),
        ("verify-page http://consign.example/", "page_insecure"),
        ("verify-page file:///etc/passwd", "page_insecure"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(home: Path, run, line: str, says: str) -> None:
    assert refused(run(*line.split()), says)
    assert not (home / "x").exists()


def test_a_key_file_that_others_can_read_is_refused(home: Path, run) -> None:
    (home / "lender.key").chmod(0o640)
    assert refused(run("fingerprint", "lender.key"), "chmod 600")


def test_a_clock_behind_what_was_seen_is_refused(home: Path, platform: Platform, run) -> None:
    memory = Memory.read(home / "lender.memory")
    memory.seen_at = int(time.time()) + 86_400
    memory.write(home / "lender.memory")
    code, _, err = run("lease", ordered(home, "lease", platform), *LEASE)
    assert (code, err.splitlines()[-1].split(":")[0]) == (1, "clock_behind")


# --- sealing ---


def test_bad_rows_are_named_without_their_values_and_nothing_is_sealed(home: Path, run) -> None:
    (home / "cases.csv").write_text(CASES + "13800000000,card,CNY,1,1,王五,110105194912310021,1381234567,,,,\n")
    code, out, err = run("seal", "cases.csv", "--key", "lender.key", "-o", "sealed")
    assert (code, out, (home / "sealed").exists()) == (1, "", False)
    assert err.splitlines() == [
        "row,field,code",
        "4,case_number,case_number_personal",
        "4,id_number,invalid_resident_id",
        "4,mobile,invalid_mobile",
        "nothing was sealed: 1 bad rows, 3 good ones",
    ]


def test_the_good_rows_are_sealed_where_the_bad_ones_may_be_skipped(home: Path, run) -> None:
    (home / "cases.csv").write_text(CASES.replace("LN-2", "bad number!"))
    code, out, _ = run("seal", "cases.csv", "--key", "lender.key", "-o", "sealed", "--skip-bad")
    assert (code, out.startswith("sealed 2 cases, left out 1 rows")) == (0, True)
    header, *cases, _ = [json.loads(line) for line in (home / "sealed").read_bytes().splitlines()]
    assert (header["rows"], [case["row"] for case in cases]) == (2, [1, 3])


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("case_number,cvv", "0,cvv,forbidden_column"),
        ("case_number,13812345678", "0,#2,unknown_column"),
        ("case_number", "0,product,missing_column"),
    ],
)
def test_a_header_that_cannot_stand_is_refused_column_by_column(home: Path, run, header: str, fault: str) -> None:
    (home / "cases.csv").write_text(header + "\n")
    code, _, err = run("seal", "cases.csv", "--key", "lender.key", "-o", "sealed", "--skip-bad")
    assert code == 1
    assert fault in err.splitlines()
    assert "13812345678" not in err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_other_encodings_seal_to_the_same_masks(home: Path, run, encoding: str) -> None:
    (home / "cases.csv").write_bytes(CASES.encode(encoding))
    assert run("seal", "cases.csv", "--key", "lender.key", "-o", "sealed")[0] == 0
    assert json.loads((home / "sealed").read_bytes().splitlines()[1])["masks"]["name"] == "张*"


def test_a_sealed_file_that_cannot_be_finished_is_not_left_behind(
    home: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crypto.tool.sealing._judge", lambda path, on: (4, 0))
    code, _, err = run("seal", "cases.csv", "--key", "lender.key", "-o", "sealed")
    assert (code, "changed" in err, (home / "sealed").exists()) == (1, True, False)


# --- orders ---


def test_an_order_is_told_before_it_is_carried_out_and_a_no_is_a_no(
    home: Path, platform: Platform, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    (home / "lease.order").write_text(json.dumps(future(platform.lease_order())))
    code, out, err = run("lease", "lease.order", *LEASE[:-1])
    assert (code, out) == (1, "nothing was done\n")
    assert told(home, "agency", "kem").lower() in err
    assert all(fact in err for fact in (str(AGENCY), "cases", "until", "[y/N]"))
    assert not (home / "answer").exists()


def test_an_order_is_carried_out_at_a_yes(home: Path, platform: Platform, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.readline", lambda: "y\n", raising=False)
    (home / "lease.order").write_text(json.dumps(future(platform.lease_order())))
    assert run("lease", "lease.order", *LEASE[:-1])[0] == 0
    assert (home / "answer").stat().st_mode & 0o777 == 0o600


def test_a_refused_order_leaves_no_answer_and_no_memory_of_it(home: Path, platform: Platform, run) -> None:
    before = sha256((home / "lender.memory").read_bytes()).digest()
    assert run("lease", ordered(home, "lease", platform, agency=str(LENDER)), *LEASE)[0] == 1
    assert not (home / "answer").exists()
    assert sha256((home / "lender.memory").read_bytes()).digest() == before


def test_rekey_rewrap_and_erase_answer_their_orders(home: Path, platform: Platform, run) -> None:
    assert run("keygen", str(LENDER), "-o", "new.key", "--replacing", "lender.key")[0] == 0
    assert run("rekey", ordered(home, "rekey", platform), *LEASE[:5], "rekeyed", "--yes")[0] == 0
    platform.take_rekeyed(json.loads((home / "rekeyed").read_text()))
    wrapped = ("rewrap", ordered(home, "rewrap", platform), *LEASE[:5], "rewrapped", "--new-key", "new.key", "--yes")
    assert run(*wrapped)[0] == 0
    assert run("erase", ordered(home, "erase", platform), *LEASE[:5], "erased", "--yes")[0] == 0
    answers = [json.loads((home / name).read_text()) for name in ("rekeyed", "rewrapped", "erased")]
    assert [answer["kind"] for answer in answers] == ["rekey", "rewrap", "erase"]
    assert {grant["recipient"] for grant in answers[1]["grants"]} == {
        fingerprint(read_public_file((home / "new.key.pub").read_bytes()).kem).hex()
    }


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ("LN-1\nLN-2\nLN-3\n", 0),
        ("\ufeffLN-3\r\n LN-2 \r\n\r\nLN-1", 0),
        ("LN-1\nLN-2\n", 1),
        ("LN-1\nLN-2\nLN-4\n", 1),
        ("LN-1\nLN-2\nLN-3\nLN-4\n", 1),
        ("", 1),
    ],
)
def test_a_lease_of_other_cases_than_the_lenders_list_is_refused(
    home: Path, platform: Platform, run, listed: str, code: int
) -> None:
    (home / "lease.order").write_text(json.dumps(future(platform.lease_order())))
    (home / "placed").write_text(listed)
    ended, _, err = run("lease", "lease.order", "--cases", "placed", *LEASE)
    assert (ended, "case_not_expected" in err, (home / "answer").exists()) == (code, code == 1, code == 0)


def test_a_list_of_cases_that_is_no_text_is_refused(home: Path, platform: Platform, run) -> None:
    (home / "lease.order").write_text(json.dumps(future(platform.lease_order())))
    (home / "placed").write_bytes(b"\xff\xfe")
    assert refused(run("lease", "lease.order", "--cases", "placed", *LEASE), "is not UTF-8")


def test_a_changed_pin_needs_saying_so(home: Path, platform: Platform, run) -> None:
    words = ("pin", str(AGENCY), "ab" * 32, "--use", "kem", "--memory", "lender.memory")
    assert run(*words)[2].startswith("key_changed: ")
    assert run(*words, "--replace")[0] == 0
    assert Memory.read(home / "lender.memory").pins[AGENCY.bytes]["kem"] == bytes.fromhex("ab" * 32)

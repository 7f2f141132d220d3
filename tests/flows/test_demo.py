"""`make demo` as a newcomer runs it: processes, HTTP, jobs, the stand-alone verifiers."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

SECONDS_MAX = 300


def demo(home: Path, *arguments: str) -> dict[str, Any]:
    """Run it to its end; its last line of output is one JSON object."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home.chmod(0o755)
    told = subprocess.run(
        [sys.executable, "-m", "portal.demo", "--stop", "--port", str(port), *arguments],
        cwd=ROOT,
        env=os.environ | {"CONSIGN_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    return json.loads(told.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_the_built_in_story_walks_the_whole_path_twice(tmp_path: Path) -> None:
    demo(tmp_path, "--cases", "1000")
    figures = demo(tmp_path, "--cases", "1000")
    assert figures["cases"] == 1000
    assert figures["sealed_cells"] > 3 * figures["cases"]
    assert figures["placed"] == figures["cases"]
    assert (figures["contacts"], figures["claims"]) == (300, 100)
    assert figures["releases"] >= 100
    assert 0 < figures["matched"] < figures["claims"]
    assert figures["breaks"] > 0
    assert figures["breaches"] >= 3
    assert Decimal(figures["commission"]) < Decimal(figures["recovered"])
    assert figures["audit_entries"] > figures["releases"]
    assert figures["audit_verified"] is True


def processes_of(home: Path) -> list[str]:
    """The commands of those whose environment or command names it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            command = (process / "cmdline").read_bytes()
            if str(home).encode() in command + (process / "environ").read_bytes():
                found.append(command.replace(b"\0", b" ").decode())
    return found


def test_ctrl_c_while_it_serves_ends_every_process_of_it_without_a_traceback(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with (tmp_path / "said").open("w+") as said:
        serving = subprocess.Popen(
            [sys.executable, "-m", "portal.demo", "--cases", "1000", "--port", "0"],
            cwd=ROOT,
            env=os.environ | {"CONSIGN_HOME": str(tmp_path)},
            stdout=said,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        give_up = time.monotonic() + SECONDS_MAX
        while "Serving on" not in (tmp_path / "said").read_text():
            assert serving.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.2)
        assert any("postgres" in command for command in processes_of(tmp_path))
        for _ in range(2):  # as an impatient person does
            os.killpg(serving.pid, signal.SIGINT)
            time.sleep(0.2)
        assert serving.wait(SECONDS_MAX) == 0
    assert processes_of(tmp_path) == []
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_the_real_accounts_stand_where_they_have_a_balance(tmp_path: Path, shared_folder: Path) -> None:
    figures = demo(tmp_path, "--portfolio", str(shared_folder / "data" / "uci_credit_card_default.csv"))
    assert figures["cases"] == 5129
    assert figures["audit_verified"] is True


def test_what_is_served_already_is_not_served_again(tmp_path: Path) -> None:
    with (tmp_path / "in-use").open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        told = subprocess.run(
            [sys.executable, "-m", "portal.demo", "--serve"],
            cwd=ROOT,
            env=os.environ | {"CONSIGN_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    assert told.returncode == 1
    assert "still runs" in told.stderr
    assert "stop it first" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--portfolio", "no-such-file.csv"), "no-such-file.csv"),
        (("--days", "91"), "--serve"),
        (("--cases", "999"), "at least 1000"),
        (("--serve", "--days", "-1"), "forward"),
    ],
)
def test_what_cannot_be_is_said_plainly(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "portal.demo", "--stop", *arguments],
        cwd=ROOT,
        env=os.environ | {"CONSIGN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert told.returncode == 2
    assert said in told.stderr
    assert "Traceback" not in told.stderr

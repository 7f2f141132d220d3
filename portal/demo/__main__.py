"""`python -m portal.demo`: set everything up, tell the story through the API, then serve what it made."""

import argparse
import csv
import datetime as dt
import fcntl
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import psycopg
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import HTTPError

from models import cluster
from models.business_day import ZONE, day_of
from models.clock import ShiftedClock, clock_of
from models.contact_hours import is_open
from models.csv_safe import csv_line
from models.custody import make_vault, open_custody, open_vault
from models.database import Database
from models.ids import new_id
from models.organisation import OPERATOR
from models.sample import from_accounts, make_portfolio
from models.services.parties import members, organisations
from models.services.sealing import platform_keys
from models.settings import Settings
from models.work import Actor
from portal.demo.story import CASES_MIN, DAYS, Story, Told

HOST = "127.0.0.1"
ACCOUNTS_HEADER = b"ID,LIMIT_BAL"  # the public file of credit card accounts, taken as it is
READY_SECONDS_MAX = 60
ENDING_SECONDS_MAX = 20
SIGN_IN = "sign-in.txt"
FREE_CASES, FREE_SEED = 400, 5  # of the portfolio that the story leaves unplaced
FAULTS = {
    "balance": "-5.00",
    "id_number": "110101199003078516",
    "mobile": "1.38E+10",
    "dpd": "x",
    "currency": "RMB",
    "case_number": "6222021234567890128",
}
ORDER = (
    "cases",
    "sealed_cells",
    "placed",
    "releases",
    "contacts",
    "claims",
    "matched",
    "breaks",
    "recovered",
    "commission",
    "breaches",
    "audit_entries",
    "audit_verified",
)


def main() -> int:
    given = arguments()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(0))
    try:
        with own_home(given.serve) as settings:
            return serve_what_stands(settings, given.port, given.days) if given.serve else tell(settings, given)
    except KeyboardInterrupt:
        return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m portal.demo", description=__doc__)
    parser.add_argument(
        "--cases", type=int, default=6000, help=f"how many the made-up portfolio holds, at least {CASES_MIN}"
    )
    parser.add_argument("--portfolio", type=Path, help="a case file, or the public file of credit card accounts")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--stop", action="store_true", help="stop after the table")
    parser.add_argument("--serve", action="store_true", help="serve what an earlier run made")
    parser.add_argument(
        "--days",
        type=int,
        default=0,
        help="with --serve: its clock goes on by so many days from where it stands; everyone signs in again",
    )
    given = parser.parse_args()
    if given.portfolio and not given.portfolio.is_file():
        parser.error(f"there is no file {given.portfolio}")
    if given.cases < CASES_MIN:
        parser.error(f"--cases: the story needs at least {CASES_MIN}")
    if given.days < 0 or (given.days and not given.serve):
        parser.error("--days goes with --serve, and only forward")
    return given


@contextmanager
def own_home(serve: bool) -> Iterator[Settings]:
    """var/demo, or its next neighbour where another demonstration is at home; plain HTTP, and a clock of its own.

    To serve is to serve what stands in var/demo, which one does at a time.
    """
    wanted = Path(os.environ.get("CONSIGN_HOME", "var/demo")).absolute()
    for home in (wanted, *(wanted.with_name(f"{wanted.name}-{number}") for number in range(2, 10))):
        home.mkdir(parents=True, exist_ok=True)
        with (home / "in-use").open("w") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if serve:
                    raise SystemExit(f"a demonstration still runs in {home.name}: stop it first (Ctrl-C)") from None
                print(f"a demonstration is at home in {home.name} already; taking the next", flush=True)
                continue
            os.environ |= {"CONSIGN_HOME": str(home), "CONSIGN_SECURE_COOKIES": "0"}
            cluster.forget_holders(home)
            yield replace(Settings.from_environment(), clock_file=home / "clock")
            return
    raise SystemExit("too many demonstrations are running")


def tell(settings: Settings, given: argparse.Namespace) -> int:
    started = time.monotonic()
    print("Setting up PostgreSQL, roles, migrations and keys …", flush=True)
    start_clean(settings)
    password = secrets.token_urlsafe(12)
    clock = ShiftedClock(settings.clock_file or settings.home / "clock")
    today = day_of(clock())
    first_day = today - dt.timedelta(days=DAYS)
    clock.set(dt.datetime.combine(first_day, dt.time(9), ZONE))
    operator = bring_in_operator(settings, password)
    port = free_port(given.port)
    with running(settings, port) as pool:
        print("The main job, through the HTTP API:", flush=True)
        story = Story(pool, clock, today, (*operator, password), lambda line: print(line, flush=True))
        told = story.tell(portfolio_of(given, first_day), make_portfolio(FREE_CASES, FREE_SEED, first_day))
        told.figures |= verified(story, settings)
        for statement in story.statements():
            recompute(statement, settings)
        story.end()
        keep_sign_in(settings, sign_in_of(told, password))
        print(f"Told in {time.monotonic() - started:.0f} s.\n")
        show(told)
        print((settings.home / SIGN_IN).read_text(), end="")
        if not given.stop:
            print(f"\nServing on http://{HOST}:{port}/ (Ctrl-C ends it)", flush=True)
            if not is_open(clock()):
                print("It is night in Shanghai: contact data opens from 08:00, and the pages say so.", flush=True)
            signal.pause()
    print(json.dumps({name: told.figures[name] for name in ORDER}, ensure_ascii=False))
    return 0 if told.figures["audit_verified"] else 1


def serve_what_stands(settings: Settings, port: int, days: int) -> int:
    """With a clock that went on by so many days since it was last served, so that terms, windows and papers end."""
    if not (settings.home / "postgres").exists():
        print("nothing stands yet: run `make demo` first", file=sys.stderr)
        return 2
    cluster.set_up(cluster.start_embedded(settings))
    set_up_keys(settings)
    clock = ShiftedClock(settings.clock_file or settings.home / "clock")
    clock.set(clock() + dt.timedelta(days=days))
    # Before anybody looks: what ended in between reads as ended from the first page on.
    subprocess.run([sys.executable, "-m", "jobs", "catch-up"], env=environment_of(settings), check=True)
    with running(settings, free_port(port)) as pool:
        if (settings.home / SIGN_IN).exists():
            print((settings.home / SIGN_IN).read_text(), end="")
        print(f"It is {clock().astimezone(ZONE):%Y-%m-%d %H:%M} in this demonstration.")
        print(f"Serving on http://{pool.host}:{pool.port}/ (Ctrl-C ends it)", flush=True)
        signal.pause()
    return 0


def start_clean(settings: Settings) -> None:
    """A second run begins anew: the database, the objects and the keys of the first are gone."""
    admin = cluster.start_embedded(settings)
    cluster.create_roles(admin)
    with psycopg.connect(admin.set(drivername="postgresql").render_as_string(False), autocommit=True) as connection:
        connection.execute(f"drop database if exists {cluster.DATABASE} with (force)")
    shutil.rmtree(settings.object_store, ignore_errors=True)
    shutil.rmtree(settings.keyring.parent, ignore_errors=True)
    (settings.home / SIGN_IN).unlink(missing_ok=True)
    (settings.home / "clock").write_text("0")
    cluster.set_up(admin)
    set_up_keys(settings)


def set_up_keys(settings: Settings) -> None:
    database = Database(cluster.login_url(settings), make_vault(open_custody(settings)), clock_of(settings))
    platform_keys.set_up(database)
    database.close()


def bring_in_operator(settings: Settings, password: str) -> tuple[str, str]:
    """The first operator, made at set-up: its organisation's code and e-mail."""
    database = Database(cluster.login_url(settings), open_vault(settings), clock_of(settings))
    with database.work(Actor(side=OPERATOR, org_id=new_id(), name="set-up")) as work:
        made = organisations.create(work, OPERATOR, "Consign")
        members.create(work, OPERATOR, made.id, "operator@consign.example", "operator", ["operator"], password)
    database.close()
    return made.code, "operator@consign.example"


def environment_of(settings: Settings) -> dict[str, str]:
    """Of the portal and the jobs. The program that is told of what happens is on this machine too.

    They are told where the database is: this process alone holds the embedded server, and stops it after them.
    """
    return os.environ | {
        "CONSIGN_CLOCK_FILE": str(settings.clock_file),
        "CONSIGN_DATABASE_URL": cluster.login_url(settings),
        "CONSIGN_WEBHOOKS_LOCAL": "1",
    }


@contextmanager
def running(settings: Settings, port: int) -> Iterator[HTTPConnectionPool]:
    """The portal and the jobs as processes of their own, as in production.

    In groups of their own too: a terminal's Ctrl-C reaches this process alone, which ends them one after the other.
    """
    environment = environment_of(settings)
    listening = ["--bind", f"{HOST}:{port}", "--workers", "2", "--threads", "4", "--worker-class", "gthread"]
    commands = (
        [sys.executable, "-m", "gunicorn", *listening, "--timeout", "600", "--log-level", "warning", "wsgi:app"],
        [sys.executable, "-m", "jobs"],
    )
    processes = [subprocess.Popen(command, env=environment, process_group=0) for command in commands]
    pool = HTTPConnectionPool(HOST, port, maxsize=4, timeout=600)
    try:
        wait_until_ready(pool, processes)
        yield pool
    finally:
        # From here to the end of this process: who presses it again while that lasts breaks nothing off.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in processes:
            process.terminate()
        for process in processes:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(ENDING_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ready(pool: HTTPConnectionPool, processes: list[subprocess.Popen[bytes]]) -> None:
    give_up = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < give_up:
        if any(process.poll() is not None for process in processes):
            raise SystemExit("the portal or the jobs did not start; see the lines above")
        try:
            pool.request("GET", "/api/openapi.json", retries=False)
            return
        except HTTPError:
            time.sleep(0.1)
    raise SystemExit("the portal did not answer in time")


def portfolio_of(given: argparse.Namespace, on: dt.date) -> Iterable[bytes]:
    """The file of cases as of the story's first day."""
    if given.portfolio is None:
        return chain(make_portfolio(given.cases, on=on), bad_rows(on))
    with given.portfolio.open("rb") as file:
        if file.read(len(ACCOUNTS_HEADER)) == ACCOUNTS_HEADER:
            return from_accounts(given.portfolio, on=on)
    return chunks_of(given.portfolio)


def bad_rows(on: dt.date) -> Iterator[bytes]:
    """A few rows as they come from real systems, each with another fault, so that the error file is not empty."""
    header, *rows = csv.reader(io.StringIO(b"".join(make_portfolio(len(FAULTS), seed=1, on=on)).decode()))
    for number, (row, (field, value)) in enumerate(zip(rows, FAULTS.items(), strict=True)):
        spoiled = dict(zip(header, row, strict=True)) | {"case_number": f"BAD-{number}", field: value}
        yield csv_line(spoiled.values()).encode()


def chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 18):
            yield chunk


def verified(story: Story, settings: Settings) -> dict[str, Any]:
    """Take the lender's audit log away and verify it as anybody could, with the stand-alone tool."""
    log, key = story.log()
    path = settings.home / "audit-log.jsonl"
    path.write_bytes(log)
    tool = subprocess.run(
        [sys.executable, "-m", "crypto", "verify-log", str(path), "--key", key],
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"  {'audit':<14}{' · '.join(tool.stdout.split(chr(10))).strip(' ·')}{tool.stderr.strip()}")
    return {"audit_entries": log.count(b'"entry"'), "audit_verified": tool.returncode == 0}


def recompute(statement: bytes, settings: Settings) -> None:
    """What either party does with a statement: recompute it offline, to the cent."""
    path = settings.home / "statement.csv"
    path.write_bytes(statement)
    tool = subprocess.run(
        [sys.executable, "-m", "models.commission", "verify", str(path)], capture_output=True, text=True, check=True
    )
    print(f"  {'statement':<14}{tool.stdout.strip()}")


def show(told: Told) -> None:
    print("What happened")
    for name in ORDER:
        print(f"  {name.replace('_', ' '):<16}{told.figures[name]!s:>16}")


def sign_in_of(told: Told, password: str) -> str:
    """The table of everyone in the story."""
    people = (f"  {one.code:<12}{one.email:<40}{', '.join(one.roles):<34}{one.organisation}" for one in told.people)
    lines = ("Sign in with organisation code, e-mail and password", *people, f"  password of all: {password}")
    return "".join(f"{line}\n" for line in lines)


def keep_sign_in(settings: Settings, table: str) -> None:
    """For whoever serves this again: beside its data, and readable by nobody else."""
    path = settings.home / SIGN_IN
    path.touch(mode=0o600)
    path.write_text(table)


def free_port(wanted: int) -> int:
    """The port asked for, or any free one where somebody holds it already."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("no free port")


if __name__ == "__main__":
    sys.exit(main())

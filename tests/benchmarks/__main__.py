"""`make bench`: every figure beside a peer or a limit of the same run, one JSON line each."""

import argparse
import json
import sys

from tests.benchmarks import (
    exchange,
    exchange_claims,
    exchange_pages,
    intake,
    log,
    nightly,
    release,
    sealing,
)

SUITES = {
    "sealing": sealing.run,
    "intake": intake.run,
    "release": release.run,
    "nightly": nightly.run,
    "log": log.run,
    "exchange": exchange.run,
    "claims": exchange_claims.run,
    "pages": exchange_pages.run,
}
SIZED = ("exchange", "pages")  # a million cases, or as many as are named


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="which; all without any")
    parser.add_argument("--cases", type=int, help=f"of {' and '.join(SIZED)}; a million without it")
    given = parser.parse_args()
    missed = 0
    for name in given.suites or list(SUITES):
        size = {"cases": given.cases} if given.cases and name in SIZED else {}
        for line in SUITES[name](**size):
            print(json.dumps(line), flush=True)
            missed += not line["ok"]
    print(f"{missed} goals missed" if missed else "every goal reached", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

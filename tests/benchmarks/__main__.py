"""`make bench`: every figure beside a peer or a limit of the same run, one JSON line each."""

import argparse
import json
import sys

from tests.benchmarks import exchange, intake, log, nightly, release, sealing

SUITES = {
    "sealing": sealing.run,
    "intake": intake.run,
    "release": release.run,
    "nightly": nightly.run,
    "log": log.run,
    "exchange": exchange.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="which; all without any")
    chosen = parser.parse_args().suites or list(SUITES)
    missed = 0
    for name in chosen:
        for line in SUITES[name]():
            print(json.dumps(line), flush=True)
            missed += not line["ok"]
    print(f"{missed} goals missed" if missed else "every goal reached", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

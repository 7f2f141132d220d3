"""`python -m models.award verify FILE`: compute a whole award again from its record, or a bidder's own part of one."""

import argparse
import sys
from pathlib import Path

from .verification import verify_file


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.award", description="Compute an award again.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("verify", help="an award's record as the lender downloads it, or a bidder's own part")
    verb.add_argument("file", type=Path)
    return verify_file(parser.parse_args(arguments).file)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m models.commission verify FILE`: recompute a statement file and say whether it is right."""

import argparse
import sys
from pathlib import Path

from models.commission.verify import verify_file


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: verified; 1: wrong, naming the first wrong line; 2: the file cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m models.commission", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verify = verbs.add_parser("verify", help="recompute every line and total of a statement file")
    verify.add_argument("file", type=Path)
    asked = parser.parse_args(arguments)
    return verify_file(asked.file)


if __name__ == "__main__":
    sys.exit(main())

"""The stand-alone tool of an organisation that holds its own keys, and of whoever checks the log: `python -m crypto`.

It works offline; `verify-page` alone fetches the page it is told to. This is the one place that reads the clock.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from crypto import verify
from crypto.errors import CryptoError
from crypto.tool import keys, opening, ordering, pages, sealing

COMMANDS = (keys, sealing, ordering, opening, verify, pages)
REFUSED = 1


def main(arguments: Sequence[str] | None = None, clock: Callable[[], float] = time.time) -> int:
    options = _parser().parse_args(arguments)
    options.now = int(clock())
    try:
        return int(options.run(options))
    except CryptoError as refusal:
        code = getattr(refusal, "code", "")
        print(f"{code}: {refusal}" if code else refusal, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped: nothing was written", file=sys.stderr)
    return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m crypto", description="Keys, sealing and proofs, on your own machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())

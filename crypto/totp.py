"""One-time codes by the clock (RFC 6238): six digits of HMAC-SHA-1, a new one every thirty seconds."""

import hmac
import os
from base64 import b32encode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

SEED_BYTES = 20
STEP_SECONDS = 30
DIGITS = 6
WINDOW_STEPS = 1  # a phone's clock may be this far off, either way


def new_seed() -> bytes:
    return os.urandom(SEED_BYTES)


def code_of(seed: bytes, step: int) -> str:
    # SHA-1 is what every authenticator reads; as an HMAC it stands.
    return TOTP(seed, DIGITS, SHA1(), STEP_SECONDS).generate(step * STEP_SECONDS).decode()  # noqa: S303


def find_step(seed: bytes, code: str, unix_seconds: float) -> int | None:
    """The time step whose code this is, within the window around the time given; None where it is none of them."""
    now = int(unix_seconds) // STEP_SECONDS
    steps = range(max(0, now - WINDOW_STEPS), now + WINDOW_STEPS + 1)
    matching = [step for step in steps if hmac.compare_digest(code_of(seed, step).encode(), code.encode())]
    return max(matching, default=None)


def spelled(seed: bytes) -> str:
    """Base32 in groups of four, for typing it into an authenticator."""
    text = b32encode(seed).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def address(seed: bytes, account: str, issuer: str) -> str:
    """The `otpauth:` address that an authenticator reads from a picture."""
    return TOTP(seed, DIGITS, SHA1(), STEP_SECONDS).get_provisioning_uri(account, issuer)  # noqa: S303

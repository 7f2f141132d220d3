"""Signatures of webhooks, as the Standard Webhooks specification 1.0.0 has them: HMAC-SHA256, several keys at once.

The header is `v1,<base64>` for each secret, space-delimited, over `id.timestamp.body`; a secret is told as
`whsec_<base64>`.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable

from crypto.secret import Secret

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> Secret:
    return Secret.random(SECRET_BYTES)


def told(secret: Secret) -> str:
    """The secret as its owner is told it, once."""
    return PREFIX + b64encode(secret.reveal()).decode()


def parse_secret(text: str) -> Secret:
    """What `told` says, read back. Raises ValueError."""
    if not text.startswith(PREFIX):
        raise ValueError("a webhook's secret begins with whsec_")
    return Secret(b64decode(text.removeprefix(PREFIX), validate=True))


def sign(secrets: Iterable[Secret], message_id: str, unix_seconds: int, body: bytes) -> str:
    """The value of `webhook-signature`. The id holds no full stop, or two messages could be signed alike."""
    assert "." not in message_id
    signed = f"{message_id}.{unix_seconds}.".encode() + body
    return " ".join("v1," + b64encode(hmac.digest(secret.reveal(), signed, "sha256")).decode() for secret in secrets)


def verify(secret: Secret, message_id: str, unix_seconds: int, body: bytes, signatures: str) -> bool:
    """Whether one of the signatures is the secret's; how old the message may be is its reader's to decide."""
    expected = sign([secret], message_id, unix_seconds, body).encode()
    return any(hmac.compare_digest(expected, given.encode()) for given in signatures.split(" "))

"""What an installation may set: environment variables named CONSIGN_…, read once."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from crypto.secret import Secret

KEYRING_SECRET = "CONSIGN_KEYRING_SECRET"  # noqa: S105 - the name of a variable

LOG_LOCK_DAYS = 1096  # three years, as records of processing are kept (PIPL 56)


@dataclass(frozen=True)
class Settings:
    """Defaults run everything below `var/` on this machine, with no service beside it."""

    home: Path  # where the embedded database, the objects and the keyring live
    database_url: str | None  # None: the embedded PostgreSQL
    object_store: str  # a folder, or s3://bucket/prefix
    keyring: Path
    host: str  # names the audit logs: <host>/log/<organisation id>
    secure_cookies: bool  # off only for plain HTTP on loopback
    custody: str = "local"  # who holds the private keys made from now on: local or aws-kms
    keyring_secret: Secret | None = None  # a keyring's text in place of its file
    kms_key: str | None = None  # the KMS key that seals, and after commas those that only open: id, alias or ARN
    log_lock_days: int = 0  # how long Object Lock keeps the log's objects, where the bucket has it
    webhooks_local: bool = False  # for development: webhooks over plain HTTP, and to this machine
    clock_file: Path | None = None  # a demonstration's shift of the clock; see models/clock.py

    @classmethod
    def from_environment(cls) -> Self:
        home = Path(os.environ.get("CONSIGN_HOME", "var")).absolute()
        return cls(
            home=home,
            database_url=os.environ.get("CONSIGN_DATABASE_URL"),
            object_store=os.environ.get("CONSIGN_OBJECT_STORE", str(home / "objects")),
            keyring=Path(os.environ.get("CONSIGN_KEYRING", home / "keys" / "keyring.json")),
            host=os.environ.get("CONSIGN_HOST", "consign.localhost"),
            secure_cookies=os.environ.get("CONSIGN_SECURE_COOKIES", "1") != "0",
            custody=os.environ.get("CONSIGN_CUSTODY", "local"),
            keyring_secret=Secret(text.encode()) if (text := os.environ.get(KEYRING_SECRET)) else None,
            kms_key=os.environ.get("CONSIGN_KMS_KEY"),
            log_lock_days=int(os.environ.get("CONSIGN_LOG_LOCK_DAYS", LOG_LOCK_DAYS)),
            webhooks_local=os.environ.get("CONSIGN_WEBHOOKS_LOCAL", "0") == "1",
            clock_file=Path(clock) if (clock := os.environ.get("CONSIGN_CLOCK_FILE")) else None,
        )

"""Whom the settings name to hold the private keys, and the vault over them."""

from time import monotonic
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from crypto.custody import PLATFORM, Custodies, Custody, EnvironmentKeyring, HeldKeys, LocalKeyring
from crypto.errors import CustodyUnavailable, KeyringRefused, PrincipalUnknown
from crypto.kms import KmsCustody
from crypto.vault import Vault
from models.errors import Conflict, NotFound, Unavailable
from models.objects import ObjectStore, open_store
from models.organisation import AWS_KMS, LOCAL
from models.settings import KEYRING_SECRET, Settings

# A person waits behind every call; what takes longer than this is an outage, told as one.
KMS_CONFIG: Final = Config(
    connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
)  # fmt: skip


def open_custody(settings: Settings) -> Custody:
    """The custody that `CONSIGN_CUSTODY` names; with `CONSIGN_KMS_KEY` also set, keys of the other kind still serve.

    Raises `KeyringRefused` where the settings or the keyring cannot be used; the message says what to do.
    """
    local = (
        EnvironmentKeyring(KEYRING_SECRET, settings.keyring_secret)
        if settings.keyring_secret
        else LocalKeyring(settings.keyring)
    )
    if settings.custody not in (LOCAL, AWS_KMS):
        raise KeyringRefused(f"CONSIGN_CUSTODY is {LOCAL} or {AWS_KMS}")
    if settings.kms_key is None:
        if settings.custody == AWS_KMS:
            raise KeyringRefused("CONSIGN_CUSTODY is aws-kms: set CONSIGN_KMS_KEY to the key's id, alias or ARN")
        return local
    kms = _open_kms(settings, settings.kms_key.split(","))
    return Custodies(kms, local) if settings.custody == AWS_KMS else Custodies(local, kms)


def open_vault(settings: Settings) -> Vault:
    """The vault of a process that serves: the platform's keys stand, or `KeyringRefused`.

    Only `python -m models set-up` makes them. A process that made new ones in place of lost ones would sign the
    logs with a key that nobody has pinned.
    """
    custody = open_custody(settings)
    try:
        custody.public(PLATFORM)
    except PrincipalUnknown as unknown:
        raise KeyringRefused(
            f"{unknown}; where this installation was never set up, run python -m models set-up"
        ) from None
    return make_vault(custody)


def make_vault(custody: Custody) -> Vault:
    """The vault over any custody, by this machine's own stopwatch."""
    return Vault(custody, monotonic)


class ObjectShelf:
    """Where KMS custody keeps its sealed seeds: the object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects

    def get(self, key: str) -> bytes | None:
        try:
            return self.objects.get(key)
        except NotFound:
            return None
        except Unavailable:
            raise CustodyUnavailable("custody_unavailable") from None

    def put_once(self, key: str, data: bytes) -> bool:
        try:
            self.objects.put_once(key, data)
        except Conflict:
            return False
        except Unavailable:
            raise CustodyUnavailable("custody_unavailable") from None
        return True


def _open_kms(settings: Settings, keys: list[str]) -> HeldKeys:
    client = boto3.Session().client("kms", config=KMS_CONFIG)
    shelf = ObjectShelf(open_store(settings.object_store))
    return KmsCustody(client, keys, shelf, monotonic, (ClientError, BotoCoreError))

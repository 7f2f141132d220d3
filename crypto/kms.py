"""Custody behind a key of AWS KMS: each private seed rests sealed by KMS, and is open here for minutes at most."""

import base64
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from crypto.custody import Change, HeldKeys
from crypto.errors import CryptoError, CustodyUnavailable, KeyringRefused, ValueRefused
from crypto.opened import Opened, Stopwatch
from crypto.principal import PrincipalKeys, checked_seed
from crypto.secret import Secret

FORMAT = "consign-kms/1"
OPENED_MAX = 1024  # principals

# What KMS answers -> the refusal's code; what is not named here did not answer as far as we can tell.
OUTAGE_OF = {
    "Throttling": "custody_throttled",
    "ThrottlingException": "custody_throttled",
    "RequestLimitExceeded": "custody_throttled",
    "LimitExceededException": "custody_throttled",
    "DisabledException": "custody_key_disabled",
    "KMSInvalidStateException": "custody_key_pending_deletion",
    "AccessDeniedException": "custody_refused",
    "NotFoundException": "custody_refused",
    "InvalidArnException": "custody_refused",
    "InvalidKeyUsageException": "custody_refused",
    "IncorrectKeyException": "custody_refused",
    "InvalidGrantTokenException": "custody_refused",
    "UnrecognizedClientException": "custody_refused",
    "InvalidSignatureException": "custody_refused",
    "ExpiredTokenException": "custody_refused",
}
# Sealed bytes altered, or sealed for another principal or purpose.
ALTERED = "InvalidCiphertextException"
# Sealed with another KMS key than the one named.
OTHER_KEY = "IncorrectKeyException"


class KmsClient(Protocol):
    """What we ask of boto3's KMS client."""

    def encrypt(self, **request: Any) -> Mapping[str, Any]: ...

    def decrypt(self, **request: Any) -> Mapping[str, Any]: ...


class Shelf(Protocol):
    """Bytes by name, each written once; raises `CustodyUnavailable` where it does not answer."""

    def get(self, key: str) -> bytes | None: ...

    def put_once(self, key: str, data: bytes) -> bool:
        """False where something stands there already."""


class Version(NamedTuple):
    """A principal's keys as one object of the shelf has them; None where it says that they are held elsewhere."""

    serial: int
    keys: PrincipalKeys | None


class KmsCustody(HeldKeys):
    """A principal's keys are the newest of its objects `custody/<principal>/<serial>.json`, each written once.

    KMS seals every seed under an encryption context that names principal and purpose, so that none stands in for
    another: with the first of `key_ids`; what the others sealed still opens. `failures` are the errors that the
    client raises; those with a `response` say what KMS refused.
    """

    kind = "aws-kms"

    def __init__(
        self,
        client: KmsClient,
        key_ids: Sequence[str],
        shelf: Shelf,
        stopwatch: Stopwatch,
        failures: tuple[type[Exception], ...],
    ) -> None:
        self._client = client
        self._key_ids = key_ids
        self._shelf = shelf
        self._failures = failures
        self._opened: Opened[str, Version] = Opened(stopwatch, OPENED_MAX)

    def __str__(self) -> str:
        return "the object store below custody/"

    def find(self, principal: str, newest: bool = False) -> PrincipalKeys | None:
        opened = self._opened.find(principal)
        return opened.keys if opened and not newest else self._newest(principal).keys

    def change(self, principal: str, change: Change) -> PrincipalKeys:
        while True:
            standing = self._newest(principal)
            wanted = change(standing.keys)
            if wanted is standing.keys or self._put(principal, Version(standing.serial + 1, wanted)):
                return wanted

    def forget(self, principal: str) -> None:
        while True:
            standing = self._newest(principal)
            if standing.keys is None or self._put(principal, Version(standing.serial + 1, None)):
                return

    def _newest(self, principal: str) -> Version:
        """The shelf is asked each time for what may have come since; KMS only for what is not open here."""
        opened = self._opened.find(principal)
        serial, newest = opened.serial if opened else 0, None
        while (data := self._shelf.get(_place(principal, serial + 1))) is not None:
            serial, newest = serial + 1, data
        if newest is None:
            return opened or Version(0, None)
        version = Version(serial, self._read(principal, serial, newest))
        self._opened.keep(principal, version)
        return version

    def _read(self, principal: str, serial: int, data: bytes) -> PrincipalKeys | None:
        try:
            document = json.loads(data)
            if document["format"] == FORMAT:
                entry = document["keys"]
                return None if entry is None else PrincipalKeys.from_json(entry, partial(self._unseal, principal))
        except CustodyUnavailable:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, CryptoError):
            pass  # Raised below, outside: the parser's error carries what it parsed.
        raise KeyringRefused(
            f"{_place(principal, serial)} in the object store is corrupt, or sealed for somebody or something else:"
            " restore it from its backup"
        )

    def _put(self, principal: str, version: Version) -> bool:
        """False where another process has put a version of this serial first."""
        entry = version.keys.to_json(partial(self._seal, principal)) if version.keys else None
        data = json.dumps({"format": FORMAT, "keys": entry}).encode()
        if not self._shelf.put_once(_place(principal, version.serial), data):
            return False
        self._opened.keep(principal, version)
        return True

    def _seal(self, principal: str, use: str, seed: Secret) -> str:
        context = _context(principal, use)
        try:
            answer = self._client.encrypt(KeyId=self._key_ids[0], Plaintext=seed.reveal(), EncryptionContext=context)
        except self._failures as failure:
            code = _code_of(failure)
        else:
            return base64.b64encode(answer["CiphertextBlob"]).decode()
        raise CustodyUnavailable(OUTAGE_OF.get(code, "custody_unavailable"))

    def _unseal(self, principal: str, use: str, text: str) -> Secret:
        blob, context, code = base64.b64decode(text, validate=True), _context(principal, use), ""
        for key_id in self._key_ids:
            try:
                answer = self._client.decrypt(KeyId=key_id, CiphertextBlob=blob, EncryptionContext=context)
            except self._failures as failure:
                code = _code_of(failure)
                if code != OTHER_KEY:
                    break
            else:
                return checked_seed(answer["Plaintext"])
        if code == ALTERED:
            raise ValueRefused("sealed bytes are altered, or of another principal or purpose")
        raise CustodyUnavailable(OUTAGE_OF.get(code, "custody_unavailable"))


def _code_of(failure: Exception) -> str:
    """What KMS said, or nothing where it said nothing: no connection, no answer in time, no credentials."""
    response = getattr(failure, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _context(principal: str, use: str) -> dict[str, str]:
    return {"organisation": principal, "purpose": use}


def _place(principal: str, serial: int) -> str:
    return f"custody/{principal}/{serial}.json"

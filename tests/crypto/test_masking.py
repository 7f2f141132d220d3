"""Every example of the masking table, then what a mask must never do."""

import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crypto.masking import HIDDEN, MASKS, PUBLIC_MAIL_DOMAINS, mask, mask_name
from crypto.surnames import COMPOUND_SURNAMES

TABLE = [
    ("name_cn", "张三", "张*"),
    ("name_cn", "段正淳", "段**"),
    ("name_cn", "欧阳锋", "欧阳*"),
    ("name_cn", "欧阳娜娜", "欧阳**"),
    ("name", "某", "*"),
    ("name_minority", "买买提·艾力", "买*****"),
    ("name_foreign", "John Smith", "J*** S****"),
    ("id_cn", "51343620000320711X", "5****************X"),
    ("id_cn", "513436000320711", "5*************1"),
    ("mobile", "18049531999", "180****1999"),
    ("mobile", "+8618049531999", "+86180****1999"),
    ("landline", "010-62345678", "010-******78"),
    ("bank_card", "6225751234567891496", "***************1496"),
    ("email", "duandazhi@126.com", "d********@126.com"),
    ("email", "a@126.com", "*@126.com"),
    ("email", "wang@smallfirm.cn", "w***@*****"),
    ("address", "北京市海淀区马连洼街道289号", "北京市海淀区****"),
    ("employer", "北京某某科技有限公司", "北京****有限公司"),
    ("ssn_us", "123-45-6789", "***-**-6789"),
    ("birth_date", "1984-07-03", "1984"),
    ("plate", "京A123", "*****"),
]
# One mask for any name, as files do not say of which sort it is.
TABLE += [("name", value, masked) for kind, value, masked in TABLE if kind.startswith("name_")]
TABLE += [("phone", value, masked) for kind, value, masked in TABLE if kind in ("mobile", "landline")]


@pytest.mark.parametrize(("kind", "value", "masked"), TABLE)
def test_the_table_comes_out_as_written(kind: str, value: str, masked: str) -> None:
    assert mask(kind, value) == masked


@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [
        ("mobile", "１８０４９５３１９９９", "180****1999"),
        ("mobile", "0086 180-4953-1999", "0086 180-****-1999"),
        ("mobile", "+86 18049531999", "+86 180****1999"),
        ("landline", "075583765566", "0755******66"),
        ("bank_card", "6225 7512 3456 7891 496", "**** **** **** ***1 496"),
        ("id_cn", "51343620000320711x", "5****************X"),
        ("name", "  张三　", "张*"),
        ("name", "买买提•艾力", "买*****"),
        ("name", "爱新觉罗溥仪", "爱新觉罗**"),
        ("name", "𠮷田茂", "𠮷**"),
        ("name", "Jean-Luc O'Neil", "J******* O*****"),
        ("name", "J Smith", "J S****"),
        ("email", "Wang@QQ.com", "W***@qq.com"),
        ("address", "上海市浦东新区世纪大道100号", "上海市浦东新区****"),
        ("address", "江苏省昆山市玉山镇前进路1号", "江苏省昆山市****"),
        ("address", "广东省东莞市南城街道", "广东省东莞市****"),
        (
            "address",
            "新疆维吾尔自治区克孜勒苏柯尔克孜自治州阿图什市人民路",
            "新疆维吾尔自治区克孜勒苏柯尔克孜自治州阿图什市****",
        ),
        ("address", "内蒙古赤峰市阿鲁科尔沁旗天山镇", "内蒙古赤峰市阿鲁科尔沁旗****"),
        ("address", "北京市幸福小区3号", "北京市****"),
        ("address", "上海人民超市3楼", "上海****"),
        ("employer", "永辉超市有限公司", "****有限公司"),
        ("employer", "小米科技有限责任公司北京分公司", "****分公司"),
    ],
)
def test_other_spellings_follow_the_same_patterns(kind: str, value: str, masked: str) -> None:
    assert mask(kind, value) == masked


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("name", ""),
        ("name", "欧阳"),
        ("name", "A B"),
        ("name", "张三1"),
        ("name", "张San"),
        ("name", "住在北京市海淀区的张三先生"),
        ("name_cn", "John Smith"),
        ("id_cn", "5134362000032071"),
        ("id_cn", "5134362000032O711X"),
        ("mobile", "12345678901"),
        ("mobile", "010-62345678"),
        ("mobile", "+86+8618049531999"),
        ("phone", "+86" * 3000),
        ("landline", "62345678"),
        ("bank_card", "6225"),
        ("bank_card", "6225751234567891496000"),
        ("email", "a@b"),
        ("email", "a-@126.com @"),
        ("email", "*@126.com"),
        ("address", "北京市海淀区"),
        ("address", "马连洼街道289号"),
        ("employer", "北京有限公司"),
        ("employer", "某中学"),
        ("birth_date", "3 July 1984"),
        ("birth_date", "1984"),
        ("ssn_us", "123-45-678"),
        ("cvv", "123"),
    ],
)
def test_a_value_of_the_wrong_shape_is_hidden_whole(kind: str, value: str) -> None:
    assert mask(kind, value) == HIDDEN


def test_a_known_surname_wins_over_guessing() -> None:
    assert mask_name("欧阳娜娜", "欧") == "欧***"
    assert mask_name("尉迟", "尉") == "尉*"
    assert mask_name("张三", "李") == "张*"


def letters(text: str) -> list[str]:
    return [char for char in text if char.isalnum()]


HAN = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
DIGITS = st.text(string.digits, min_size=1, max_size=22)
SHAPED = st.one_of(
    st.text(HAN, min_size=1, max_size=12),
    st.tuples(st.text(HAN, min_size=1, max_size=4), st.text(HAN, min_size=1, max_size=4)).map("·".join),
    st.lists(st.text(string.ascii_letters + "'-", min_size=1, max_size=8), min_size=1, max_size=3).map(" ".join),
    DIGITS,
    st.from_regex(r"(?:\+86|0086)?[ -]?1[3-9][0-9 -]{9,14}", fullmatch=True),
    st.from_regex(r"0[0-9]{2,3}-?[0-9]{7,8}", fullmatch=True),
    st.builds("{}@{}".format, st.text(string.ascii_letters + "._-*", min_size=1, max_size=9),
              st.sampled_from([*sorted(PUBLIC_MAIL_DOMAINS), "smallfirm.cn"])),
    st.builds("{}{}".format, st.sampled_from(["北京市海淀区", "江苏省苏州市", "上海", "新疆"]), st.text(max_size=20)),
    st.builds("{}{}".format, st.text(HAN, max_size=8), st.sampled_from(["有限公司", "分公司", "集团"])),
    st.dates().map(str),
)  # fmt: skip
VALUES = SHAPED | st.text(max_size=30)


@given(st.sampled_from(sorted(MASKS)), VALUES)
def test_a_mask_never_equals_its_value_and_always_hides_something(kind: str, value: str) -> None:
    assume(letters(value))
    masked = mask(kind, value)
    assert masked != value
    assert len(letters(masked)) < len(letters(value)) or masked == HIDDEN
    assert masked == HIDDEN or masked == "*" or kind == "birth_date" or "*" in masked


# What each pattern may show at most, in letters and digits.
SHOWN_MAX = {"id_cn": 2, "bank_card": 4, "ssn_us": 4, "birth_date": 4, "name_minority": 1}


@given(st.sampled_from(sorted(SHOWN_MAX)), VALUES)
def test_a_mask_shows_no_more_than_its_pattern(kind: str, value: str) -> None:
    assert len(letters(mask(kind, value))) <= SHOWN_MAX[kind]


@given(st.sampled_from(["mobile", "landline", "phone"]), VALUES)
def test_a_phones_mask_shows_prefix_and_tail_alone(kind: str, value: str) -> None:
    bare = re.sub(r"^(?:\+86|0086)|[ -]", "", mask(kind, value))
    assert bare == HIDDEN or re.fullmatch(r"1[3-9][0-9]\*{4}[0-9]{4}|0[0-9]{2,3}\*{5,6}[0-9]{2}", bare)


@given(VALUES)
def test_a_names_mask_shows_a_surname_or_initials_alone(value: str) -> None:
    masked = mask("name", value)
    shown = masked.replace("*", "")
    initials = all(len(word.rstrip("*")) == 1 for word in masked.split())
    assert len(shown) <= 1 or shown in COMPOUND_SURNAMES or initials


@given(VALUES)
def test_an_emails_mask_shows_one_letter_and_a_public_domain_alone(value: str) -> None:
    local, at, domain = mask("email", value).partition("@")
    assert len(local.replace("*", "")) <= 1
    assert not at or domain == HIDDEN or domain in PUBLIC_MAIL_DOMAINS


@given(st.sampled_from(["address", "employer"]), VALUES)
def test_the_length_of_what_is_hidden_does_not_tell(kind: str, value: str) -> None:
    masked = mask(kind, value)
    assert masked == HIDDEN or masked.count("*") == 4

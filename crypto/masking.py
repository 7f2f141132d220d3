"""Masks: one pattern per kind of value, everywhere; what has the wrong shape is hidden whole.

Separators and +86 stay where they stand, so that a phone written in two ways gives the same digits away.
Districts and employers are recognised by their endings; where that fails, less is shown, never more.
"""

import re
from collections.abc import Callable

from crypto.plain import plain
from crypto.regions import CITIES, MUNICIPALITIES, PROVINCES
from crypto.surnames import COMPOUND_SURNAMES

HIDDEN = "*****"

_MAIL_DOMAINS = """
    qq.com vip.qq.com foxmail.com 163.com vip.163.com 126.com vip.126.com yeah.net 188.com sina.com vip.sina.com sina.cn
    sohu.com tom.com 21cn.com 139.com 189.cn wo.cn aliyun.com gmail.com outlook.com hotmail.com live.com live.cn msn.com
    yahoo.com yahoo.cn yahoo.com.cn icloud.com me.com proton.me protonmail.com
"""
PUBLIC_MAIL_DOMAINS = frozenset(_MAIL_DOMAINS.split())
LEGAL_FORMS = (
    "有限责任公司",
    "股份有限公司",
    "集团有限公司",
    "有限公司",
    "分公司",
    "子公司",
    "公司",
    "集团",
    "有限合伙企业",
    "合伙企业",
    "合作社",
    "事务所",
    "个体工商户",
)

_HAN = r"[\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
_PROVINCE = (
    rf"(?:(?:{'|'.join(MUNICIPALITIES)})市?|(?:{'|'.join(PROVINCES)})(?:省|(?:壮族|回族|维吾尔)?自治区|特别行政区)?)"
)
_PREFECTURE = rf"(?:{_HAN}{{2,4}}?(?:市(?<![超菜夜]市)|地区|盟)|{_HAN}{{2,12}}?自治州)"
# 小区, 社区, 园区, 厂区 and their like are homes and workplaces, not districts.
_NOT_A_DISTRICT = r"(?<![小社园校厂景街院营片学住活属宅业一二三四五六七八九十]区)(?<![超菜夜]市)"
_COUNTY = rf"(?:{_HAN}{{1,4}}?[区县市旗]{_NOT_A_DISTRICT}|{_HAN}{{1,14}}?自治[县旗]|{_HAN}{{1,7}}?旗)"

_name_cn = re.compile(rf"{_HAN}{{2,8}}").fullmatch
_name_minority = re.compile(rf"{_HAN}+(?:·{_HAN}+)+").fullmatch
_letter = rf"(?:(?!{_HAN}|[\uff00-\uffef])[^\W\d_])"
_word = rf"{_letter}(?:{_letter}|['’.-])*"
_name_foreign = re.compile(rf"{_word}(?: +{_word})*").fullmatch
_id_cn = re.compile(r"[0-9]{17}[0-9Xx]|[0-9]{15}").fullmatch
_mobile = re.compile(r"1[3-9][0-9]{9}").fullmatch
_landline = re.compile(r"(0(?:10|2[0-9]|[3-9][0-9]{2}))([2-9][0-9]{6,7})").fullmatch
_bank_card = re.compile(r"[0-9]{13,19}").fullmatch
_ssn_us = re.compile(r"[0-9]{9}").fullmatch
_email = re.compile(r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)").fullmatch
_region_of_address = re.compile(rf"(?:{_PROVINCE}{_PREFECTURE}?|{_PREFECTURE}){_COUNTY}?").match
_region_of_employer = re.compile(rf"(?:{_PROVINCE})?(?:(?:{'|'.join(CITIES)})市?)?").match
_birth_date = re.compile(r"((?:19|20)[0-9]{2})(?:-[0-9]{1,2}-[0-9]{1,2}|/[0-9]{1,2}/[0-9]{1,2}|[0-9]{4})").fullmatch
_shows = re.compile(r"[^\W_]").search
_country = re.compile(r"(?:\+86|0086)[ -]?").match

_Mask = Callable[[str], str | None]


def mask(kind: str, value: str) -> str:
    """The mask of a value; an unknown kind, or a value of the wrong shape, is `*****`."""
    pattern = MASKS.get(kind)
    if pattern is None:
        return HIDDEN
    return pattern(value) or pattern(plain(value)) or HIDDEN


def looks_masked(kind: str, text: str) -> bool:
    """Whether a text can be the mask of some value of this kind: what else it might be is not asked."""
    if text == HIDDEN:
        return True
    shape = _SHAPES.get(kind)
    return shape is not None and shape(text)


def mask_name(value: str, surname: str) -> str:
    """The mask of a Chinese name whose surname is known and need not be guessed."""
    name, kept = plain(value), plain(surname)
    if _name_cn(name) and kept and name.startswith(kept) and len(name) > len(kept):
        return kept + "*" * (len(name) - len(kept))
    return mask("name", value)


def _of_name_cn(value: str) -> str | None:
    if not _name_cn(value):
        return None
    kept = 1
    if value[:2] in COMPOUND_SURNAMES:
        kept = 2
    elif value[:4] in COMPOUND_SURNAMES:
        kept = 4
    return value[:kept] + "*" * (len(value) - kept) if len(value) > kept else HIDDEN


def _of_name_minority(value: str) -> str | None:
    return value[0] + "*" * (len(value) - 1) if _name_minority(value) else None


def _of_name_foreign(value: str) -> str | None:
    if not _name_foreign(value) or len(value) < 2:
        return None
    words = value.split(" ")
    if not any(_shows(word[1:]) for word in words):
        return None
    return " ".join([word[:1] + "*" * (len(word) - 1) for word in words])


def _of_name(value: str) -> str | None:
    if len(value) == 1:
        return "*" if value.isalpha() else None
    return _of_name_cn(value) or _of_name_minority(value) or _of_name_foreign(value)


def _of_id_cn(bare: str) -> str | None:
    return bare[0] + "*" * (len(bare) - 2) + bare[-1].upper() if _id_cn(bare) else None


def _of_mobile(bare: str) -> str | None:
    return f"{bare[:3]}****{bare[7:]}" if _mobile(bare) else None


def _of_landline(bare: str) -> str | None:
    found = _landline(bare)
    if not found:
        return None
    area, number = found.groups()
    return area + "*" * (len(number) - 2) + number[-2:]


def _of_phone(bare: str) -> str | None:
    return _of_mobile(bare) or _of_landline(bare)


def _of_bank_card(bare: str) -> str | None:
    return "*" * (len(bare) - 4) + bare[-4:] if _bank_card(bare) else None


def _of_ssn_us(bare: str) -> str | None:
    return "*****" + bare[-4:] if _ssn_us(bare) else None


def _of_email(value: str) -> str | None:
    found = _email(value)
    if not found:
        return None
    local, domain = found[1], found[2].lower()
    public = domain in PUBLIC_MAIL_DOMAINS
    hidden = local if len(local) == 1 else local[1:]
    if public and not _shows(hidden):
        return None
    return local[: len(local) - len(hidden)] + "*" * len(hidden) + "@" + (domain if public else HIDDEN)


def _of_address(value: str) -> str | None:
    region = _region_of_address(value)
    if not region or not _shows(value[region.end() :]):
        return None
    return region[0] + "****"


def _of_employer(value: str) -> str | None:
    form = next((form for form in LEGAL_FORMS if value.endswith(form)), None)
    region = _region_of_employer(value)
    if not form or not region or not _shows(value[region.end() : len(value) - len(form)]):
        return None
    return f"{region[0]}****{form}"


def _of_birth_date(value: str) -> str | None:
    found = _birth_date(value)
    return found[1] if found else None


def _in_place(pattern: _Mask, prefix: Callable[[str], re.Match[str] | None] | None = None) -> _Mask:
    """The pattern of the bare characters, with one prefix and the separators left where they stand."""

    def of(value: str) -> str | None:
        masked = pattern(value)
        if masked:
            return masked
        found = prefix(value) if prefix else None
        start = found.end() if found else 0
        masked = pattern(value[start:].replace(" ", "").replace("-", ""))
        if not masked:
            return None
        left = iter(masked)
        return value[:start] + "".join([char if char in " -" else next(left) for char in value[start:]])

    return of


MASKS: dict[str, _Mask] = {
    "name": _of_name,
    "name_cn": _of_name_cn,
    "name_minority": _of_name_minority,
    "name_foreign": _of_name_foreign,
    "id_cn": _in_place(_of_id_cn),
    "mobile": _in_place(_of_mobile, _country),
    "landline": _in_place(_of_landline, _country),
    "phone": _in_place(_of_phone, _country),
    "bank_card": _in_place(_of_bank_card),
    "email": _of_email,
    "address": _of_address,
    "employer": _of_employer,
    "ssn_us": _in_place(_of_ssn_us),
    "birth_date": _of_birth_date,
}


_masked_letters = re.compile(rf"{_letter}\**(?: +{_letter}\**)*").fullmatch
_masked_id_cn = re.compile(r"[0-9](?:\*{16}[0-9X]|\*{13}[0-9])").fullmatch
_masked_mobile = re.compile(r"1[3-9][0-9]\*{4}[0-9]{4}").fullmatch
_masked_landline = re.compile(r"0(?:10|2[0-9]|[3-9][0-9]{2})\*{5,6}[0-9]{2}").fullmatch
_masked_bank_card = re.compile(r"\*{9,15}[0-9]{4}").fullmatch
_masked_ssn_us = re.compile(r"\*{5}[0-9]{4}").fullmatch
_masked_email = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]?\*{1,255}@(.+)").fullmatch
_year = re.compile(r"(?:19|20)[0-9]{2}").fullmatch


def _is_name(text: str) -> bool:
    kept = text.rstrip("*")
    if len(text) == len(kept):
        return "*" in text and _masked_letters(text) is not None
    one_name = len(kept) <= 1 or kept in COMPOUND_SURNAMES
    return (one_name and (not kept or kept.isalpha())) or _masked_letters(text) is not None


def _is_email(text: str) -> bool:
    found = _masked_email(text)
    return found is not None and (found[1] in PUBLIC_MAIL_DOMAINS or found[1] == HIDDEN)


def _is_address(text: str) -> bool:
    region = _region_of_address(text)
    return region is not None and text[region.end() :] == "****"


def _is_employer(text: str) -> bool:
    region, stars, form = text.partition("****")
    found = _region_of_employer(region)
    return bool(stars) and form in LEGAL_FORMS and found is not None and found.end() == len(region)


def _shape(*bare: Callable[[str], re.Match[str] | None]) -> Callable[[str], bool]:
    """Like one of these once the country and the separators are taken out."""

    def holds(text: str) -> bool:
        prefix = _country(text)
        rest = text[prefix.end() if prefix else 0 :].replace(" ", "").replace("-", "")
        return any(pattern(rest) for pattern in bare)

    return holds


_SHAPES: dict[str, Callable[[str], bool]] = {
    "name": _is_name,
    "id_cn": _shape(_masked_id_cn),
    "mobile": _shape(_masked_mobile),
    "phone": _shape(_masked_mobile, _masked_landline),
    "bank_card": _shape(_masked_bank_card),
    "email": _is_email,
    "address": _is_address,
    "employer": _is_employer,
    "ssn_us": _shape(_masked_ssn_us),
    "birth_date": lambda text: _year(text) is not None,
}

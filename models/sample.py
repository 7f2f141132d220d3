"""A made-up portfolio with the shape of a real one: `python -m models.sample --cases 6000 --out cases.csv`.

Buckets, balances and ages follow the late accounts of I-Cheng Yeh's *Default of Credit Card Clients* (UCI Machine
Learning Repository, CC BY 4.0), kept here as figures. People are Faker's (zh_CN), with valid check digits; no
two borrowers share an id or a phone. The same arguments always give the same bytes.
"""

import argparse
import csv
import datetime as dt
import sys
from bisect import bisect
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from faker import Faker
from faker.providers.ssn.zh_CN import Provider as ResidentIds

from models.business_day import day_of
from models.case_file import COLUMNS
from models.clock import utc_now
from models.csv_safe import csv_lines
from models.identifiers import PROVINCES, check_character, luhn_digit

SEED = 7
ON = dt.date(2026, 1, 5)  # the business day whose state it shows to who asks for no other in code
ROWS_PER_CHUNK = 1_000
POOL = 2_000  # names, streets and firms to draw from

# Months late: accounts, and their balances at these shares of the accounts.
SHARES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1)
LATE_ACCOUNTS = {1: 1999, 2: 2667, 3: 322, 4: 76, 5: 26, 6: 11, 7: 9, 8: 19}
LATE_BALANCES = {
    1: (3, 3295, 5613, 9462, 15491, 19388, 26185, 36794, 50645, 73459, 123371, 188894, 523618),
    2: (37, 1050, 2500, 13696, 20155, 28603, 41632, 51193, 72763, 100000, 155910, 206473, 613860),
    3: (99, 400, 1090, 2400, 4899, 11698, 18464, 26551, 35637, 61014, 98094, 131139, 415735),
    4: (1800, 7936, 12480, 20014, 22858, 31273, 37647, 51689, 74477, 112662, 216591, 288585, 589654),  # four or more
}
AGES = (21, 23, 24, 26, 28, 30, 34, 36, 40, 44, 49, 54, 72)
CASES_PER_BORROWER = {1: 88, 2: 9, 3: 3}  # per cent of the borrowers
PRODUCTS = {"credit_card": 70, "cash_loan": 20, "instalment": 10}
RELATIONS = ("父亲", "母亲", "配偶", "兄弟", "姐妹", "朋友")
MAIL_DOMAINS = ("qq.com", "163.com", "126.com", "sina.com", "foxmail.com")
MOBILE_STARTS = ("135", "136", "137", "138", "139", "150", "151", "158", "159", "176", "180", "186", "189", "199")
CARD_STARTS = ("622202", "622848", "621700", "621661", "622588", "625965")
# Where people live; their ids may come from any county.
COUNTIES = {
    "110105": "北京市朝阳区",
    "110108": "北京市海淀区",
    "120101": "天津市和平区",
    "130102": "河北省石家庄市长安区",
    "210102": "辽宁省沈阳市和平区",
    "220102": "吉林省长春市南关区",
    "230102": "黑龙江省哈尔滨市道里区",
    "310104": "上海市徐汇区",
    "310115": "上海市浦东新区",
    "320102": "江苏省南京市玄武区",
    "330106": "浙江省杭州市西湖区",
    "340103": "安徽省合肥市庐阳区",
    "350203": "福建省厦门市思明区",
    "360102": "江西省南昌市东湖区",
    "370202": "山东省青岛市市南区",
    "410105": "河南省郑州市金水区",
    "420106": "湖北省武汉市武昌区",
    "430102": "湖南省长沙市芙蓉区",
    "440106": "广东省广州市天河区",
    "440305": "广东省深圳市南山区",
    "450103": "广西壮族自治区南宁市青秀区",
    "460105": "海南省海口市秀英区",
    "500103": "重庆市渝中区",
    "510104": "四川省成都市锦江区",
    "520102": "贵州省贵阳市南明区",
    "530102": "云南省昆明市五华区",
    "610113": "陕西省西安市雁塔区",
    "620102": "甘肃省兰州市城关区",
}
# Larger than any sample and prime to the spaces they step through: numbers look drawn and never repeat.
STEP = 2_147_483_647
ID_ORDERS = 999  # the last three digits before the check character, from 001

Cell = str | int | Decimal | dt.date | None


class Account(NamedTuple):
    """One overdue account before it gets an owner; components None where the file gives only the balance."""

    number: str
    product: str
    balance: Decimal
    dpd: int
    components: tuple[Decimal, Decimal, Decimal] | None


def make_portfolio(cases: int, seed: int = SEED, on: dt.date = ON) -> Iterator[bytes]:
    """A case file of `cases` rows (UTF-8) in chunks; about an eighth of the borrowers have several cases."""
    draw = Random(seed)
    return _file(_accounts(cases, seed, draw), _People(seed, draw, on), draw, on)


def from_accounts(path: Path, seed: int = SEED, on: dt.date = ON) -> Iterator[bytes]:
    """A case file of every account of the UCI file that is late (PAY_0 ≥ 1), each with an owner of its own.

    The case number comes from ID, dpd is 30 days per month of PAY_0, the balance is BILL_AMT1 as it stands, also
    where it is not positive. The figures are New Taiwan dollars there and written as CNY here, so that the law
    and the identities of one country go together.
    """
    draw = Random(seed)
    return _file(_late_accounts(path), _People(seed, draw, on), draw, on, several=False)


def _late_accounts(path: Path) -> Iterator[Account]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file):
            months = int(line["PAY_0"])
            if months >= 1:
                number = f"UCI-{int(line['ID']):06d}"
                yield Account(number, "credit_card", Decimal(line["BILL_AMT1"]), 30 * months, None)


def _accounts(cases: int, seed: int, draw: Random) -> Iterator[Account]:
    months, weights = list(LATE_ACCOUNTS), list(LATE_ACCOUNTS.values())
    for number in range(1, cases + 1):
        late = draw.choices(months, weights)[0]
        balance = Decimal(round(_between(LATE_BALANCES[min(late, 4)], draw) * 100)) / 100
        yield Account(
            # A letter between, lest two numbers side by side look like a phone.
            number=f"S{seed}N{number:07d}",
            product=draw.choices(list(PRODUCTS), list(PRODUCTS.values()))[0],
            balance=balance,
            dpd=30 * late - draw.randrange(30),
            components=_components(balance, draw) if draw.random() < 0.8 else None,
        )


def _components(balance: Decimal, draw: Random) -> tuple[Decimal, Decimal, Decimal]:
    cents = int(balance * 100)
    interest = cents * draw.randrange(4, 16) // 100
    fees = cents * draw.randrange(5) // 100
    return Decimal(cents - interest - fees) / 100, Decimal(interest) / 100, Decimal(fees) / 100


def _between(marks: tuple[int, ...], draw: Random) -> float:
    """A value drawn from a distribution that is known at SHARES, even between its marks."""
    share = draw.random()
    place = bisect(SHARES, share)
    low, high = SHARES[place - 1], SHARES[place]
    return marks[place - 1] + (marks[place] - marks[place - 1]) * (share - low) / (high - low)


class _People:
    """Borrowers without end, drawn from pools; ids and phones step through their space and so never repeat."""

    def __init__(self, seed: int, draw: Random, on: dt.date) -> None:
        faker = Faker("zh_CN")
        faker.seed_instance(seed)
        self.draw = draw
        self.on = on
        self.names = [faker.name() for _ in range(POOL)]
        self.streets = [faker.street_name() for _ in range(POOL)]
        self.firms = [faker.company() for _ in range(POOL)]
        self.users = [faker.user_name() for _ in range(POOL)]
        self.residences = list(COUNTIES.items())
        self.birthplaces = [
            code for code in ResidentIds.area_codes if code[:2] in PROVINCES and not code.endswith("00")
        ]
        self.made = draw.randrange(1_000_000)

    def person(self) -> dict[str, Cell]:
        """The columns that are the same in every case of a borrower."""
        draw = self.draw
        self.made += 1
        born_on = self.on - dt.timedelta(days=int(_between(AGES, draw) * 365.2425) + 1)
        region, county = draw.choice(self.residences)
        home = f"{county}{draw.choice(self.streets)}{draw.randrange(1, 400)}号{draw.randrange(1, 30)}栋"
        person: dict[str, Cell] = {
            "region": region,
            "name": draw.choice(self.names),
            "id_number": self._id_number(born_on),
            "birth_date": born_on if draw.random() < 0.5 else None,
            "mobile": self._mobile(2 * self.made),
            "mobile_2": self._mobile(2 * self.made + 1) if draw.random() < 0.15 else None,
            "address": home if draw.random() < 0.9 else None,
        }
        if draw.random() < 0.4:
            user = f"{draw.choice(self.users)}{draw.randrange(1000)}"
            person["email"] = f"{user}@{draw.choice(MAIL_DOMAINS)}"
        if draw.random() < 0.6:
            person["relative_name"] = draw.choice(self.names)
            person["relative_relation"] = draw.choice(RELATIONS)
            person["relative_phone"] = f"{draw.choice(MOBILE_STARTS)}{draw.randrange(10**8):08d}"
        if draw.random() < 0.5:
            person["employer"] = draw.choice(self.firms)
            person["employer_phone"] = f"0{draw.randrange(310, 999)}-{draw.randrange(2 * 10**6, 9 * 10**6)}"
        return person

    def card(self) -> str:
        body = f"{self.draw.choice(CARD_STARTS)}{self.draw.randrange(10**12):012d}"
        return body + luhn_digit(body)

    def _id_number(self, born_on: dt.date) -> str:
        slot = self.made * STEP % (len(self.birthplaces) * ID_ORDERS)
        place, order = divmod(slot, ID_ORDERS)
        body = f"{self.birthplaces[place]}{born_on:%Y%m%d}{order + 1:03d}"
        return body + check_character(body)

    def _mobile(self, number: int) -> str:
        start, rest = divmod(number * STEP % (len(MOBILE_STARTS) * 10**8), 10**8)
        return f"{MOBILE_STARTS[start]}{rest:08d}"


def _file(
    accounts: Iterator[Account], people: _People, draw: Random, on: dt.date, *, several: bool = True
) -> Iterator[bytes]:
    names = [column.name for column in COLUMNS]
    lines = csv_lines(_records(accounts, people, draw, on, names, several=several))
    yield (",".join(names) + "\r\n").encode()
    while chunk := "".join(islice(lines, ROWS_PER_CHUNK)):
        yield chunk.encode()


def _records(
    accounts: Iterator[Account], people: _People, draw: Random, on: dt.date, names: list[str], *, several: bool
) -> Iterator[list[Cell]]:
    cases_left = 0
    for account in accounts:
        if cases_left == 0:
            person = people.person()
            weights = list(CASES_PER_BORROWER.values())
            cases_left = draw.choices(list(CASES_PER_BORROWER), weights)[0] if several else 1
        cases_left -= 1
        case = person | _case_cells(account, draw, on)
        case["card_number"] = people.card() if draw.random() < 0.7 else None
        yield [case.get(name) for name in names]


def _case_cells(account: Account, draw: Random, on: dt.date) -> dict[str, Cell]:
    overdue_since = on - dt.timedelta(days=account.dpd)
    principal, interest, fees = account.components or (None, None, None)
    return {
        "case_number": account.number,
        "product": account.product,
        "currency": "CNY",
        "principal": principal,
        "interest": interest,
        "fees": fees,
        "balance": account.balance,
        "dpd": account.dpd,
        "overdue_since": overdue_since if draw.random() < 0.9 else None,
        "opened_on": overdue_since - dt.timedelta(days=draw.randrange(90, 3000)) if draw.random() < 0.8 else None,
    }


def main(arguments: Iterable[str] | None = None) -> None:
    """Write a portfolio to a file, or to standard output."""
    parser = argparse.ArgumentParser(prog="python -m models.sample", description=main.__doc__)
    parser.add_argument("--cases", type=int, default=6_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--as-of",
        type=dt.date.fromisoformat,
        default=day_of(utc_now()),
        metavar="DATE",
        help="the day whose state it shows (today): the same day gives the same file again",
    )
    parser.add_argument("--from", dest="accounts", type=Path, metavar="FILE", help="the UCI credit card file")
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if options.accounts:
        chunks = from_accounts(options.accounts, options.seed, options.as_of)
    else:
        chunks = make_portfolio(options.cases, options.seed, options.as_of)
    if options.out:
        with options.out.open("wb") as file:
            file.writelines(chunks)
    else:
        sys.stdout.buffer.writelines(chunks)


if __name__ == "__main__":
    main()

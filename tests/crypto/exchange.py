"""A platform in a few lines, for the tool's tests: it stores what tools send and hands out orders and packages."""

import copy
import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from crypto import strict
from crypto.fields import FIELD_CLASSES
from crypto.keyfile import PrivateKeys

NOW = 1_767_600_000  # 2026-01-05 in Shanghai
EXPIRES_AT = NOW + 30 * 86_400
LENDER = UUID("01890000-0000-7000-8000-00000000000a")
AGENCY = UUID("01890000-0000-7000-8000-00000000000b")
PLACEMENT = UUID("01890000-0000-7000-8000-00000000000c")
ORDER = UUID("01890000-0000-7000-8000-00000000000d")

CASES = """\
case_number,product,currency,balance,dpd,name,id_number,mobile,mobile_2,address,employer,card_number
LN-1,card,CNY,1250.00,65,张三,11010519491231002X,13812345678,13912345678,北京市朝阳区建国路1号,,4716461583322103
LN-2,card,CNY,99.5,12,李四,110105491231002,13812345678,,,重庆市渝中区某某有限公司,
LN-3,loan,CNY,7,200,O'Brien,11010519491231002x,+86 138 1234 5678,,,,
"""


@dataclass
class Platform:
    """Holds no key at all. What it hands out is JSON, so that a test may spoil any member of it."""

    header: dict[str, Any]
    cases: list[dict[str, Any]]
    agency_kem: bytes
    versions: dict[str, int] = field(default_factory=dict)
    notes: dict[UUID, dict[str, str]] = field(default_factory=dict)
    leases: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, sealed: bytes, agency_kem: bytes) -> "Platform":
        header, *cases, _ = [json.loads(line) for line in sealed.splitlines()]
        return cls(header, cases, agency_kem)

    @property
    def epoch(self) -> int:
        return int(self.header["classes"]["identity"]["epoch"])

    def case_id(self, number: str) -> UUID:
        return uuid5(PLACEMENT, number)

    def lease_order(self, serial: int = 1, **changes: Any) -> dict[str, Any]:
        order = {
            "format": "consign-order/1",
            "order": str(ORDER),
            "kind": "lease",
            "lender": self.header["lender"],
            "agency": str(AGENCY),
            "agency_kem": strict.to_base64(self.agency_kem),
            "terms_base": {
                "placement": str(PLACEMENT),
                "portfolio": self.header["portfolio"],
                "expires_at": EXPIRES_AT,
            },
            "epoch": self.epoch,
            "serial": serial,
            "classes": self.header["classes"],
            "cases": [
                {
                    "case": str(self.case_id(case["case_number"])),
                    "reference": case["case_number"],
                    "salt": case["salt"],
                    "versions": {name: int(name in case["cells"]) for name in FIELD_CLASSES},
                }
                for case in self.cases
            ],
        }
        return copy.deepcopy(order | changes)

    def rekey_order(self) -> dict[str, Any]:
        order = {
            "format": "consign-order/1",
            "order": str(ORDER),
            "kind": "rekey",
            "lender": self.header["lender"],
            "portfolio": self.header["portfolio"],
            "epoch": self.epoch,
            "classes": self.header["classes"],
            "cases": [
                {
                    "case": str(self.case_id(case["case_number"])),
                    "reference": case["case_number"],
                    "salt": case["salt"],
                    "cells": {name: {"version": 1, "cell": cell} for name, cell in case["cells"].items()},
                    "notes": [
                        {"contact": contact, "sealed": sealed}
                        for contact, sealed in self.notes.get(self.case_id(case["case_number"]), {}).items()
                    ],
                }
                for case in self.cases
            ],
        }
        return copy.deepcopy(order)

    def take_rekeyed(self, answer: dict[str, Any]) -> None:
        self.header = self.header | {"classes": answer["classes"]}
        by_id = {case["case"]: case for case in answer["cases"]}
        for case in self.cases:
            new = by_id[str(self.case_id(case["case_number"]))]
            case["cells"] = new["cells"]
            self.notes[self.case_id(case["case_number"])] = {one["contact"]: one["sealed"] for one in new["notes"]}

    def rewrap_order(self) -> dict[str, Any]:
        classes = [
            {"portfolio": self.header["portfolio"], "epoch": self.epoch, "grant": grant}
            for grant in self.header["classes"].values()
        ]
        order = {"format": "consign-order/1", "order": str(ORDER), "kind": "rewrap", "lender": self.header["lender"]}
        return copy.deepcopy(order | {"classes": classes})

    def erase_order(self) -> dict[str, Any]:
        by_id = {str(self.case_id(case["case_number"])): case["salt"] for case in self.cases}
        return {
            "format": "consign-order/1",
            "order": str(ORDER),
            "kind": "erase",
            "lender": self.header["lender"],
            "subject_kind": "portfolio",
            "subject": self.header["portfolio"],
            "cases": sorted(by_id),
            "salt_digests": [sha256(strict.unbase64(by_id[case_id])).hexdigest() for case_id in sorted(by_id)],
        }

    def package(self, number: str = "LN-1", field_class: str = "contact") -> dict[str, Any]:
        """To the agency, through the lease that the lender's tool has made."""
        case = next(case for case in self.cases if case["case_number"] == number)
        case_id = str(self.case_id(number))
        notes = [] if field_class != "notes" else self.notes.get(UUID(case_id), {}).items()
        package = {
            "format": "consign-package/1",
            "case": case_id,
            "reference": number,
            "portfolio": self.header["portfolio"],
            "placement": str(PLACEMENT),
            "class": field_class,
            "version": int(field_class in case["cells"]),
            "epoch": self.epoch,
            "cell": case["cells"].get(field_class),
            "notes": [{"contact": contact, "sealed": sealed} for contact, sealed in notes],
            "grant": self.leases["grants"][field_class],
            "lease": self.leases["cases"][case_id][field_class],
            "salt": None,
        }
        return copy.deepcopy(package)

    def own_package(self, number: str = "LN-1", field_class: str = "contact") -> dict[str, Any]:
        """To the lender itself."""
        case = next(case for case in self.cases if case["case_number"] == number)
        self.leases.setdefault("grants", {}).setdefault(field_class, self.header["classes"][field_class])
        self.leases.setdefault("cases", {}).setdefault(str(self.case_id(number)), {}).setdefault(field_class, None)
        own = {"placement": None, "lease": None, "salt": case["salt"], "grant": self.header["classes"][field_class]}
        return self.package(number, field_class) | copy.deepcopy(own)


def public_keys(*keys: PrivateKeys) -> dict[bytes, bytes]:
    """Signing keys as a server shows them."""
    return {one.organisation_id: one.public.signing for one in keys}

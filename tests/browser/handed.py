"""What a lender in self-custody grants to an agency in self-custody, as an honest server hands it out."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from crypto import strict
from crypto.cells import CellName, case_key, seal_cell
from crypto.free_text import NoteName, seal_note
from crypto.grants import X25519, WrapContext, make_grant
from crypto.keyfile import PrivateKeys, make_keys
from crypto.leases import LeaseName, seal_lease
from crypto.packages import FORMAT
from crypto.secret import Secret
from crypto.terms import lease_terms

NOW = dt.datetime(2026, 3, 10, 2, 0, tzinfo=dt.UTC)
SECOND = int(NOW.timestamp())
EXPIRES_AT = SECOND + 90 * 86_400
FIELDS = {"name": "张三", "id_number": "11010119700102001X"}


def keys_of(organisation_id: UUID | None = None, suite: str = X25519) -> PrivateKeys:
    return make_keys((organisation_id or uuid4()).bytes, suite)


@dataclass
class Handed:
    """One case of one placement. Each method answers a `consign-package/1` as JSON carries it."""

    agency: PrivateKeys
    lender: PrivateKeys = field(default_factory=keys_of)
    case_id: UUID = field(default_factory=uuid4)
    portfolio_id: UUID = field(default_factory=uuid4)
    placement_id: UUID = field(default_factory=uuid4)
    reference: str = "K-HANDED"
    salt: bytes = bytes(range(32))
    class_keys: dict[tuple[str, int], Secret] = field(default_factory=dict)

    def key(self, field_class: str = "identity", epoch: int = 1) -> Secret:
        class_key = self.class_keys.setdefault((field_class, epoch), Secret.random())
        return case_key(class_key, self.portfolio_id.bytes, self.reference.encode(), self.salt)

    def cell(self, field_class: str = "identity", version: int = 1, epoch: int = 1) -> bytes:
        name = CellName(self.portfolio_id.bytes, self.reference.encode(), field_class, version)
        return seal_cell(self.key(field_class, epoch), name, {**FIELDS})

    def package(
        self,
        field_class: str = "identity",
        version: int = 1,
        epoch: int = 1,
        serial: int = 1,
        expires_at: int = EXPIRES_AT,
        leased_version: int | None = None,
        granter: PrivateKeys | None = None,
        grantee: PrivateKeys | None = None,
    ) -> dict[str, Any]:
        """Under a lease, as it is handed to the agency."""
        granter, grantee = granter or self.lender, grantee or self.agency
        ids = (granter.organisation_id, grantee.organisation_id, self.placement_id.bytes, self.portfolio_id.bytes)
        terms = lease_terms(*ids, field_class, expires_at)
        context = WrapContext(field_class, ids[0], ids[1], ids[3], epoch, serial)
        lease_key = Secret.random()
        grant = make_grant(lease_key, grantee.public.kem, context, granter.sign, terms)
        name = LeaseName(self.placement_id.bytes, self.case_id.bytes, field_class, epoch)
        lease = seal_lease(
            lease_key, name, self.key(field_class, epoch), version if leased_version is None else leased_version
        )
        return {
            "format": FORMAT,
            "case": str(self.case_id),
            "reference": self.reference,
            "portfolio": str(self.portfolio_id),
            "placement": str(self.placement_id),
            "class": field_class,
            "version": version,
            "epoch": epoch,
            "cell": strict.to_base64(self.cell(field_class, version, epoch)),
            "notes": [],
            "grant": grant.to_json(),
            "lease": strict.to_base64(lease),
            "salt": None,
        }

    def notes(self, texts: dict[UUID, str]) -> dict[str, Any]:
        """The notes of the case by their contact."""
        sealed = [
            {
                "contact": str(contact_id),
                "sealed": strict.to_base64(
                    seal_note(
                        self.key("notes"),
                        1,
                        NoteName(self.portfolio_id.bytes, self.reference.encode(), contact_id.bytes),
                        text,
                    )
                ),
            }
            for contact_id, text in texts.items()
        ]
        return self.package("notes", version=len(texts), leased_version=0) | {"cell": None, "notes": sealed}

    def own(self) -> dict[str, Any]:
        """The lender's own, under its class key."""
        lender = self.lender.organisation_id
        context = WrapContext.of_class(lender, self.portfolio_id.bytes, "identity")
        cell = strict.to_base64(self.cell())
        grant = make_grant(self.class_keys["identity", 1], self.lender.public.kem, context, self.lender.sign)
        handed = {"cell": cell, "grant": grant.to_json(), "placement": None, "lease": None}
        return self.package() | handed | {"salt": strict.to_base64(self.salt)}

    @property
    def signing_keys(self) -> dict[str, str]:
        return {strict.id_text(self.lender.organisation_id): strict.to_base64(self.lender.public.signing)}

"""An organisation that holds its own keys, in tests: its key file, its memory, and what its tool does with them."""

import io
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

from crypto import answers
from crypto.case_rows import CaseRow, read_case_rows
from crypto.grants import X25519, XWING, fingerprint
from crypto.keyfile import PrivateKeys, make_keys
from crypto.memory import Memory
from crypto.orders import read_order
from crypto.packages import open_package
from crypto.sealed_file import new_portfolio_id, seal_portfolio
from models.business_day import day_of
from models.portfolio import Portfolio
from models.services.portfolio import portfolios
from models.services.sealing import custodies, key_directory
from models.work import Actor
from tests.world import Debt, Someone, World, case_file


class OwnKeys:
    """Someone whose organisation is in self-custody, with its published keys and the tool's memory."""

    def __init__(self, world: World, someone: Someone, keys: PrivateKeys) -> None:
        self.world = world
        self.someone = someone
        self.keys = keys
        self.memory = Memory()

    @property
    def id(self) -> UUID:
        return self.someone.organisation.id

    @property
    def proved(self) -> Actor:
        """The person, who has just proved who they are."""
        return replace(self.someone.actor, proved_at=self.world.clock())

    @property
    def now(self) -> int:
        return int(self.world.clock().timestamp())

    def public_file(self) -> bytes:
        return json.dumps(self.keys.public_file()).encode()

    def publish(self) -> None:
        with self.world.database.work(self.someone.actor) as work:
            custodies.publish(work, self.public_file())

    def change_keys(self) -> PrivateKeys:
        """New keys, not published yet; answers the old ones."""
        old = self.keys
        self.keys = make_keys(self.id.bytes, old.kem.suite)
        return old

    def pin(self, other: Someone, purpose: str, public: bytes) -> None:
        self.memory.pin(other.organisation.id.bytes, purpose, fingerprint(public), replace=True)

    def sealed_file(self, cases: int | Iterable[Debt] = 3, portfolio_id: bytes | None = None) -> bytes:
        debts = [Debt(borrower) for borrower in range(1, cases + 1)] if isinstance(cases, int) else cases
        today = day_of(self.world.clock())
        rows = [row for row in read_case_rows(io.BytesIO(case_file(debts)), today) if isinstance(row, CaseRow)]
        portfolio_id = portfolio_id or new_portfolio_id(self.now)
        return b"".join(seal_portfolio(rows, len(rows), self.keys, portfolio_id, today))

    def upload(self, cases: int | Iterable[Debt] = 3) -> Portfolio:
        with self.world.database.work(self.someone.actor) as work:
            return portfolios.upload(work, [self.sealed_file(cases)], "sealed")

    def answer(self, document: dict[str, Any], old: PrivateKeys | None = None) -> bytes:
        """What the tool answers to an order."""
        kind = document["kind"]
        order: Any = read_order(json.dumps(document).encode(), kind, self.id.bytes)
        if kind == "rewrap":
            return json.dumps(answers.rewrap(order, old or self.keys, self.keys, self.memory, self.now)).encode()
        return json.dumps(getattr(answers, kind)(order, self.keys, self.memory, self.now)).encode()

    def carry_out(self, order_id: UUID, old: PrivateKeys | None = None) -> None:
        """Download an order, answer it, upload the answer."""
        with self.world.database.work(self.proved) as work:
            document = custodies.document(work, order_id)
        with self.world.database.work(self.someone.actor) as work:
            custodies.answer(work, order_id, self.answer(document, old))

    def open(self, package: dict[str, Any], *granters: tuple[Someone, bytes]) -> dict[str, str]:
        """What the package holds; `granters` with their signing keys, which are pinned here."""
        for granter, signing in granters:
            self.pin(granter, "signing", signing)
        signing_keys = {granter.organisation.id.bytes: signing for granter, signing in granters}
        return open_package(package, self.keys, self.memory, signing_keys, self.now)


def own_keys(world: World, kind: str, role: str, suite: str = XWING) -> OwnKeys:
    """A new organisation in self-custody whose keys are published."""
    someone = world.organisation(kind, role, self_custody=True)
    made = OwnKeys(world, someone, make_keys(someone.organisation.id.bytes, suite))
    made.publish()
    return made


def own_lender(world: World) -> OwnKeys:
    return own_keys(world, "lender", "portfolio_manager")


def own_agency(world: World) -> OwnKeys:
    return own_keys(world, "agency", "manager", X25519)


def confirm(world: World, by: Someone, agency: Someone) -> None:
    """Somebody of the lender confirms the agency's newest key."""
    with world.database.work(by.actor) as work:
        keys = key_directory.get_party(work, agency.organisation.id).keys
        assert keys is not None
        custodies.confirm_key(work, agency.organisation.id, fingerprint(keys.kem.public_key).hex())

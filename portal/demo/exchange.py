"""The exchange in the story: a claim, sealed bids, an allocation, a recall, and a program that is told of it all."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import UUID

from crypto.webhooks import parse_secret, verify
from models import award
from portal.demo.client import Person, Refused, read_terms

CLAIMED, BID_FOR, RECALLED = 100, 100, 5  # cases
RATES = ("0.160000", "0.150000")  # what each agency bids, in order
PATIENCE_SECONDS_MAX = 60


@dataclass
class Program:
    """An agency's own program: it hears webhooks, and believes what is signed."""

    port: int
    webhook_id: str = ""
    secret: str = ""
    believed: list[str] = field(default_factory=list)

    def hear(self, headers: Any, body: bytes) -> int:
        """The status that it answers with."""
        message = (headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        if not self.secret or not verify(parse_secret(self.secret), *message, headers["webhook-signature"]):
            return 401
        self.believed.append(headers["webhook-id"])
        return 204


@contextmanager
def listening(host: str) -> Iterator[Program]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(program.hear(self.headers, self.rfile.read(int(self.headers["content-length"]))))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer((host, 0), Handler)
    program = Program(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield program
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Exchange:
    """Each method is a chapter of one day; `go` moves its clock, `step` says what happened."""

    lender: Person
    managers: list[Person]
    agreements: list[dict[str, Any]]
    portfolio_id: str
    go: Callable[[str], None]
    step: Callable[[str, str], None]
    known: set[str] = field(default_factory=set)  # notices from before the program was told of any

    def place_the_rest(self) -> None:
        self.go("12:00")
        self.claim()
        self.bid()
        self.allocate()

    def claim(self) -> None:
        """A panel is asked, and the quicker one gets it."""
        plan = {"kind": "first_claim", "case_limit": CLAIMED, **self._panel()}
        first, second = self._offers(self.lender.client.post("/tenders", plan))
        terms = [read_terms(*asked) for asked in zip(self.managers, (first, second), strict=True)]
        placement = self.managers[1].client.post(f"/offers/{second}/accept", terms[1])
        try:
            self.managers[0].client.post(f"/offers/{first}/accept", terms[0])
        except Refused as refused:
            late = refused.problem["title"]
        else:
            raise AssertionError("two agencies claimed one tender")
        self._acknowledge()
        self.step(
            "first claim", f"{placement['case_count']:,} cases to {self.managers[1].organisation}; the other: {late}"
        )

    def bid(self) -> None:
        """Both commit to a rate, show it when the window opens, and anyone recomputes who won."""
        windows = {"commit_hours": 1, "reveal_hours": 1, "expected_recovery": "0.100000"}
        invited = self.lender.client.post("/tenders/sealed-bids", {"case_limit": BID_FOR, **windows, **self._panel()})
        tender = self.lender.client.get(f"/tenders/{invited['id']}")
        kept = []
        for manager, offer_id, agreement, rate in zip(
            self.managers, self._offers(tender), self.agreements, RATES, strict=True
        ):
            terms, nonce = award.Terms(award.RATE, rate, "0.00"), secrets.token_bytes(award.NONCE_BYTES)
            commitment = award.commitment_of(UUID(tender["id"]), UUID(agreement["agency_id"]), terms, nonce)
            said = {"commitment": commitment.hex()} | read_terms(manager, offer_id)
            manager.client.post(f"/offers/{offer_id}/bid/commit", said)
            kept.append((manager, offer_id, terms._asdict() | {"nonce": nonce.hex()}))
        self.go("13:05")
        for manager, offer_id, shown in kept:
            manager.client.post(f"/offers/{offer_id}/bid/reveal", shown)
        self.go("14:10")
        try:
            self.lender.client.post(f"/tenders/{tender['id']}/award")
        except Refused as refused:  # The jobs were quicker.
            if refused.status != 409:
                raise
        record = self.lender.client.text(f"/tenders/{tender['id']}/award/record")
        award.verify(record)
        (winner,) = self._acknowledge()
        self.step("sealed bids", f"2 committed and revealed; the award to {winner} comes out the same recomputed")

    def allocate(self) -> None:
        """What is left is split at random by halves, as the preview says."""
        halves = {agreement["id"]: "50" for agreement in self.agreements}
        plan = {"portfolio_id": self.portfolio_id, "kind": "random", "rules": [{"shares": halves}]}
        previewed = self.lender.client.post("/allocations", plan)
        done = self.lender.client.post(f"/allocations/{previewed['id']}/commit")
        self._acknowledge()
        self.step(
            "allocation", f"{done['case_count']:,} cases of {done['borrower_count']:,} borrowers, split as previewed"
        )

    def take_back(self, placement_id: str) -> None:
        """Some cases are wanted back; the agency objects, one stays with it, and work on the rest stops at once."""
        self.go("10:00")
        manager = self.managers[0]
        cases = self.lender.client.get(f"/placements/{placement_id}/cases", limit=RECALLED)["items"]
        wanted = {"reason": "debt_sold", "placement_id": placement_id, "case_ids": [case["id"] for case in cases]}
        (recall,) = self.lender.client.post("/recalls", wanted)
        path = f"/recalls/{recall['id']}"
        manager.client.post(f"{path}/object", {"code": "negotiation", "case_ids": wanted["case_ids"]})
        self.lender.client.post(f"{path}/keep", {"case_ids": wanted["case_ids"][:1]})
        count = self.lender.client.post(f"{path}/execute")["count"]
        manager.client.post(f"{path}/confirm", {"case_count": count})
        self.step("recall", f"objected to; 1 case stays, {count} are recalled, and the stop of work is confirmed")

    def subscribe(self, program: Program) -> None:
        """The first agency's program is told from now on."""
        url = f"http://{self.managers[0].client.pool.host}:{program.port}/consign"
        made = self.managers[0].client.post("/webhooks", {"url": url})
        program.webhook_id, program.secret = made["webhook"]["id"], made["secret"]
        self.known = {notice["id"] for notice in self.managers[0].client.every("/notices")}

    def hear_out(self, program: Program) -> None:
        """Wait until the program has heard all that its agency was told; then it listens no more."""
        told = [n for n in self.managers[0].client.every("/notices") if n["id"] not in self.known]
        give_up = time.monotonic() + PATIENCE_SECONDS_MAX
        while len(set(program.believed)) < len(told):
            assert time.monotonic() < give_up, f"{len(program.believed)} of {len(told)} webhooks arrived"
            time.sleep(0.1)
        self.managers[0].client.delete(f"/webhooks/{program.webhook_id}")
        self.step("webhooks", f"{len(told)} notices arrived at an agency's own program, each signature verified")

    def _panel(self) -> dict[str, Any]:
        return {"portfolio_id": self.portfolio_id, "agreement_ids": [agreement["id"] for agreement in self.agreements]}

    def _offers(self, tender: dict[str, Any]) -> list[str]:
        """What each agency was offered of a tender, in their order."""
        offers = {offer["agreement_id"]: offer["offer_id"] for offer in tender["offers"]}
        return [offers[agreement["id"]] for agreement in self.agreements]

    def _acknowledge(self) -> list[str]:
        """Whatever was placed and is not acknowledged yet; answers with whom."""
        with_whom = []
        for manager in self.managers:
            for placement in manager.client.every("/placements"):
                if placement["state"] == "awaiting_acknowledgement":
                    seen = {"case_count": placement["case_count"], "balance": placement["referred_amount"]}
                    manager.client.post(f"/placements/{placement['id']}/acknowledge", seen)
                    with_whom.append(manager.organisation)
        return with_whom

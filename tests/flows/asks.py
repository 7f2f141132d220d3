"""What a person may ask of the portal, with ids of their own, of others and of nobody; and what is answered."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from models.services.parties import members
from models.work import DOOR, Actor
from portal.access import COOKIE, PERMISSIONS
from portal.schemas.agreement_forms import CELL_COLUMNS
from tests.flows.canaries import PERIOD, Exchange, organisation_of
from tests.world import PASSWORD

STATIC: Final = {"static", "bootstrap.static"}
FIXED: Final = {"period": PERIOD, "kind": "payments"}  # what routes take besides ids
HOLE = "01890000-0000-7000-8000-000000000000"  # where an id goes in a request
NOBODY = "01890000-0000-7000-8000-000000000001"
UNKNOWN: Final = {"leaf_id": "00" * 32, "case_number": "zqnobody-1", "organisation_code": "L-22222222"}
OWN: Final = {"north": "northeast", "south": "southeast", "east": "northeast", "west": "northwest"}

CONTACT = {
    "channel": "call",
    "direction": "outbound",
    "party": "debtor",
    "outcome": "busy",
    "occurred_at": "2026-03-13T11:00:00+08:00",
}
PROMISE = {"amount": "1.00", "currency": "CNY", "due_on": "2026-03-14"}
CLAIM = {"amount": "1.00", "currency": "CNY", "paid_on": "2026-03-13", "reference": "new", "paid_to": "lender"}
RELEASE = {"field_class": "identity", "reason": "verify_identity"}
AGREEMENT = {
    "number": "new",
    "contingency_rate": "0.180000",
    "processing_agreement": "P",
    "impact_assessment": "I",
    "starts_on": "2026-03-13",
    "ends_on": "2026-12-31",
}
RATE_CARD_FORM = {
    **dict.fromkeys([f"cell_{name}" for name in CELL_COLUMNS], ""),
    "cell_rate": "20",
    "valid_from": "2026-06-01",
    "tail_days": "10",
    "tax_treatment": "inclusive",
}
RATE_CARD = {"valid_from": "2026-06-01", "cells": [{"rate": "0.200000"}]}
PAPER = {
    "kind": "insurance",
    "number": "new",
    "issuer": "I",
    "issued_on": "2026-03-01",
    "expires_on": "2026-12-31",
}
MANDATE = {"starts_on": "2026-03-13", "ends_on": "2026-12-31"}
DECLINE, RECALL, FREEZE = {"reason": "rate"}, {"reason": "complaint"}, {"reason": "conduct"}
EXCLUDE = {"reason": "deceased", "source": "court", "noted_on": "2026-03-13"}
ACKNOWLEDGE = {"case_count": 3, "balance": "1.00"}
COMMIT = {"commitment": "00" * 32, "terms_digest": "0" * 32}
REVEAL = {"kind": "rate", "rate": "0.180000", "case_fee": "0.00", "nonce": "00" * 32}
INVITE = {"commit_hours": 24, "reveal_hours": 24, "expected_recovery": "0.1", "kinds": ["rate"]}
Body = dict[str, Any]
# Everything that changes something and has an id in its path, with a body of the right shape. A noun in braces stands
# for an id of the reader's own.
CHANGES: Final[Mapping[str, Body]] = {
    "account.revoke_token": {},
    "allocations-api.commit_allocation": {},
    "allocations-api.keep_tender": {},
    "allocations-api.undo_tender": {"reason": "wrong_split"},
    "allocations-api.withdraw_allocation": {},
    "allocations.commit": {},
    "allocations.keep": {},
    "allocations.undo": {"reason": "wrong_split"},
    "allocations.withdraw": {},
    "tenders.keep": {},
    "tenders.undo": {"reason": "wrong_split"},
    "agreements-api.approve_agreement": {},
    "agreements-api.approve_rate_card": {},
    "agreements-api.approve_standard_terms": {},
    "agreements-api.change_agreement": {"tier": 2},
    "agreements-api.end_agreement": {},
    "agreements-api.propose_rate_card": RATE_CARD,
    "agreements-api.refuse_agreement": {},
    "agreements-api.refuse_rate_card": {},
    "agreements-api.ask_card_withdrawal": {},
    "agreements-api.approve_card_withdrawal": {},
    "agreements-api.refuse_card_withdrawal": {},
    "agreements-api.refuse_standard_terms": {},
    "bids-api.award_tender": {},
    "bids-api.commit_bid": COMMIT,
    "bids-api.reveal_bid": REVEAL,
    "bids-api.withdraw_bid": {},
    "bids.commit": COMMIT,
    "bids.invite": INVITE | {"agreement_ids": ["{agreement_id}"]},
    "bids.make_award": {},
    "bids.reveal": REVEAL,
    "bids.withdraw": {},
    "agreements.approve": {},
    "agreements.approve_rate_card": {},
    "agreements.approve_standards": {},
    "agreements.change": {"tier": "2", "term_days": "60"},
    "agreements.end": {},
    "agreements.propose_rate_card": RATE_CARD_FORM,
    "agreements.refuse": {},
    "agreements.refuse_rate_card": {},
    "agreements.ask_card_withdrawal": {},
    "agreements.approve_card_withdrawal": {},
    "agreements.refuse_card_withdrawal": {},
    "agreements.refuse_standards": {},
    "cases.correct": {"field": "email", "value": "new@example.com"},
    "cases.record_claim": CLAIM,
    "cases.record_contact": CONTACT,
    "cases.record_promise": PROMISE,
    "cases.release_fields": RELEASE,
    "directory.revoke_token": {},
    "exchange-api.accept_offer": {"terms_digest": "0" * 32},
    "exchange-api.acknowledge_placement": ACKNOWLEDGE,
    "exchange-api.assign_cases": {"collector_ids": ["{collector_id}"], "case_ids": ["{case_id}"]},
    "exchange-api.decline_offer": DECLINE,
    "erasures-api.lift_hold": {},
    "erasures.lift_hold": {},
    "agencies-api.accept_paper": {},
    "agencies-api.attest_paper": {},
    "agencies-api.change_standing": {"act": "watch", "reason": "conduct"},
    "agencies-api.freeze_agency": FREEZE,
    "agencies-api.record_complaints": {"upheld_complaints": 1},
    "agencies-api.withdraw_paper": {},
    "agencies.accept": {},
    "agencies.attest": {},
    "agencies.change_standing": {"act": "watch", "reason": "conduct"},
    "agencies.freeze": FREEZE,
    "agencies.record": PAPER,
    "agencies.record_complaints": {"upheld_complaints": 1},
    "agencies.record_own": PAPER,
    "agencies.withdraw": {},
    "exchange-api.freeze_placement": FREEZE,
    "exchange-api.recall_placement": RECALL,
    "exchange-api.unfreeze_placement": {},
    "exchange-api.withdraw_offer": {},
    "documents-api.add_document": {},
    "documents-api.open_document": {"reason": "verify_payment"},
    "documents.open_document": {"reason": "verify_payment"},
    "exports-api.take_export": {},
    "exports.approve": {},
    "exports.refuse": {},
    "exports.take": {},
    "keys-api.answer_order": {},
    "keys-api.cancel_order": {},
    "keys-api.confirm_key": {"fingerprint": "00" * 32},
    "keys-api.rekey_portfolio": {},
    "keys.cancel": {},
    "keys.prove_for_order": {"password": "not anybody's password"},
    "keys.confirm": {"fingerprint": "00" * 32},
    "exclusions-api.lift_exclusion": {},
    "exclusions.lift": {},
    "exclusions.record": EXCLUDE,
    "tenders-api.approve_tender": {},
    "tenders-api.refuse_tender": {},
    "tenders-api.withdraw_tender": {},
    "tenders.approve": {},
    "tenders.refuse": {},
    "tenders.withdraw": {},
    "offers.accept": {"terms_digest": "0" * 32},
    "offers.decline": DECLINE,
    "offers.withdraw": {},
    "placements.acknowledge": ACKNOWLEDGE,
    "placements.assign": {"collector_id": "{collector_id}", "case_ids": ["{case_id}"]},
    "placements.deal": {"collector_ids": ["{collector_id}"]},
    "placements.freeze": FREEZE,
    "placements.give_back": {"code": "capacity", "case_ids": ["{case_id}"]},
    "placements.recall": RECALL,
    "placements.retain": {"ground": "promise", "days": "5", "case_ids": ["{case_id}"]},
    "placements.unfreeze": {},
    "recalls-api.confirm_stop": {"case_count": 1},
    "recalls-api.execute_recall": {},
    "recalls-api.keep_cases": {"case_ids": ["{case_id}"]},
    "recalls-api.lift_recall_exclusions": {},
    "recalls-api.object_to_recall": {"code": "promise", "case_ids": ["{case_id}"]},
    "recalls-api.return_cases": {"code": "capacity", "case_ids": ["{case_id}"]},
    "recalls-api.withdraw_recall": {},
    "recalls.confirm_stop": {"case_count": "1"},
    "recalls.execute": {},
    "recalls.keep": {"case_ids": ["{case_id}"]},
    "recalls.lift_exclusions": {},
    "recalls.object_to": {"code": "promise", "case_ids": ["{case_id}"]},
    "recalls.withdraw": {},
    "retentions-api.request_retentions": {"ground": "promise", "days": 5, "case_ids": ["{case_id}"]},
    "portfolios.offer": {"agreement_id": "{agreement_id}"},
    "notices-api.mark_read": {},
    "notices.read": {},
    "webhooks-api.delete_webhook": {},
    "webhooks-api.pause_webhook": {},
    "webhooks-api.redeliver": {},
    "webhooks-api.resume_webhook": {},
    "webhooks-api.rotate_secret": {},
    "webhooks-api.send_test": {},
    "webhooks.delete": {},
    "webhooks.pause": {},
    "webhooks.redeliver": {},
    "webhooks.resume": {},
    "webhooks.rotate": {},
    "webhooks.test": {},
    "working-api.correct_case": {"changes": {"email": "new@example.com"}},
    "working-api.record_claim": CLAIM,
    "working-api.record_contact": CONTACT,
    "working-api.record_promise": PROMISE,
    "working-api.release_fields": RELEASE,
}
UNLIMITED: Final = {"directory.create_first_member"}  # the operator's: every organisation is its to name


class Naming(NamedTuple):
    """A request whose body names an id (HOLE) of the noun: all else in it is the reader's own."""

    endpoint: str
    noun: str
    body: Body


NAMING: Final = (
    Naming("exchange-api.create_offer", "portfolio_id", {"portfolio_id": HOLE, "agreement_id": "{agreement_id}"}),
    Naming("exchange-api.create_offer", "agreement_id", {"portfolio_id": "{portfolio_id}", "agreement_id": HOLE}),
    Naming(
        "bids-api.invite_bidders", "portfolio_id", INVITE | {"portfolio_id": HOLE, "agreement_ids": ["{agreement_id}"]}
    ),
    Naming(
        "bids-api.invite_bidders", "agreement_id", INVITE | {"portfolio_id": "{portfolio_id}", "agreement_ids": [HOLE]}
    ),
    Naming("bids.invite", "agreement_id", INVITE | {"agreement_ids": [HOLE]}),
    *(
        Naming(endpoint, noun, {"kind": "first_claim", "respond_hours": 72} | plan)
        for endpoint in ("tenders-api.preview_tender", "tenders-api.create_tender", "tenders.create", "tenders.preview")
        for noun, plan in (
            ("portfolio_id", {"portfolio_id": HOLE, "agreement_ids": ["{agreement_id}"]}),
            ("agreement_id", {"portfolio_id": "{portfolio_id}", "agreement_ids": [HOLE]}),
        )
    ),
    Naming("exclusions-api.record_exclusion", "case_id", EXCLUDE | {"case_id": HOLE}),
    Naming("exchange-api.assign_cases", "collector_id", {"collector_ids": [HOLE], "case_ids": ["{case_id}"]}),
    Naming("exchange-api.assign_cases", "collector_id", {"collector_ids": [HOLE]}),
    Naming("exchange-api.assign_cases", "case_id", {"collector_ids": ["{collector_id}"], "case_ids": [HOLE]}),
    Naming("placements.assign", "case_id", {"collector_id": "{collector_id}", "case_ids": [HOLE]}),
    Naming("cases.assign", "case_id", {"collector_id": "{collector_id}", "cases": [f"{{placement_id}}.{HOLE}"]}),
    Naming("cases.assign", "placement_id", {"collector_id": "{collector_id}", "cases": [f"{HOLE}.{{case_id}}"]}),
    Naming("portfolios.offer", "agreement_id", {"agreement_id": HOLE}),
    Naming("exchange-api.recall_placement", "case_id", RECALL | {"case_ids": [HOLE]}),
    Naming("recalls-api.request_recalls", "case_id", RECALL | {"case_ids": [HOLE]}),
    Naming("recalls-api.request_recalls", "placement_id", RECALL | {"placement_id": HOLE}),
    Naming("recalls-api.return_cases", "case_id", {"code": "capacity", "case_ids": [HOLE]}),
    Naming("retentions-api.request_retentions", "case_id", {"ground": "promise", "days": 5, "case_ids": [HOLE]}),
    Naming("retentions-api.decide_all_retentions", "placement_id", {"approve": True, "placement_id": HOLE}),
    Naming("retentions-api.decide_all_retentions", "agency_id", {"approve": True, "agency_id": HOLE}),
    Naming("retentions.decide_all", "agency_id", {"approve": "true", "digest": "00" * 32, "agency_id": HOLE}),
    Naming("retentions-api.decide_retentions", "retention_id", {"approve": True, "retention_ids": [HOLE]}),
    Naming("retentions.decide", "retention_id", {"approve": "true", "retention_ids": [HOLE]}),
    Naming("working-api.record_contact", "contact_id", CONTACT | {"corrects_id": HOLE}),
    Naming("cases.record_contact", "contact_id", CONTACT | {"corrects_id": HOLE}),
    Naming("directory.create_token", "lender_id", {"name": "new", "scopes": ["read"], "days": 1, "lender_id": HOLE}),
    Naming("overview.choose_mandate", "lender_id", {"lender_id": HOLE}),
    Naming("agreements-api.create_agreement", "organisation_code", AGREEMENT | {"agency_code": HOLE}),
    Naming("agencies-api.record_paper", "agency_id", PAPER | {"counterparty_id": HOLE}),
    Naming(
        "agreements.create",
        "organisation_code",
        AGREEMENT | {"contingency_rate": "18", "tier": "1", "term_days": "90", "tail_days": "15", "agency_code": HOLE},
    ),
    Naming("directory.grant_mandate", "organisation_code", MANDATE | {"auditor_code": HOLE}),
    *(
        Naming(endpoint, noun, {"subject_kind": kind, "subject_id": HOLE} | more)
        for kind, noun in (("case", "case_id"), ("portfolio", "portfolio_id"))
        for endpoint, more in (
            ("erasures-api.erase", {}),
            ("erasures-api.place_hold", {"reason": "audit"}),
            ("erasures.erase", {}),
            ("erasures.place_hold", {"reason": "audit"}),
        )
    ),
    Naming("keys.rekey", "portfolio_id", {"portfolio_id": HOLE}),
    Naming("working-api.find_cases", "case_number", {"case_number": HOLE}),
    Naming("cases.find", "case_number", {"case_number": HOLE}),
)
# Lists that can be narrowed to an id.
FILTERS: Final = (
    ("/api/v1/cases?collector_id=", "collector_id"),
    ("/api/v1/cases?portfolio_id=", "portfolio_id"),
    ("/api/v1/cases?agency_id=", "agency_id"),
    ("/cases?agency_id=", "agency_id"),
    ("/worklist?collector_id=", "collector_id"),
    ("/api/v1/breaches?case_id=", "case_id"),
    ("/api/v1/erasures/prospect?subject_kind=case&subject_id=", "case_id"),
    ("/erasures/new?subject_kind=portfolio&subject_id=", "portfolio_id"),
    ("/api/v1/breaches?member_id=", "collector_id"),
    ("/breaches?agency_id=", "agency_id"),
    ("/api/v1/agency-documents?counterparty_id=", "agency_id"),
    ("/api/v1/tenders?portfolio_id=", "portfolio_id"),
    ("/tenders?portfolio_id=", "portfolio_id"),
    ("/tenders/new?portfolio_id=", "portfolio_id"),
    ("/place-cases?portfolio_id=", "portfolio_id"),
)


class Ask(NamedTuple):
    """A request of somebody. `id` is what it names: answers are compared without it."""

    reader: str
    method: str
    path: str
    body: Body | None = None
    id: str = ""
    language: str = "zh"

    @property
    def by_program(self) -> bool:
        return self.path.startswith("/api/")

    def about(self, id_: str) -> "Ask":
        """The same with this id in the hole."""
        body = self.body and json.loads(json.dumps(self.body).replace(HOLE, id_))
        return self._replace(path=self.path.replace(HOLE, id_), body=body, id=id_)


class Answer(NamedTuple):
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def text(self) -> str:
        return "\n".join([*(f"{name}: {value}" for name, value in self.headers), self.body])


class Pair(NamedTuple):
    """The same request with somebody else's id, and with one that nobody has."""

    foreign: Ask
    unknown: Ask


class Asker:
    """Asks the portal for everybody: pages with a session, the API with a token."""

    def __init__(self, app: Flask, exchange: Exchange) -> None:
        self.app = app
        self.exchange = exchange
        self._clients: dict[tuple[str, bool], FlaskClient] = {}

    def ask(self, ask: Ask) -> Answer:
        client = self.client(ask.reader, ask.by_program)
        if not ask.by_program:
            client.set_cookie("language", ask.language)
        sent: Body = {"json": ask.body} if ask.by_program else {"data": ask.body}
        with client.open(ask.path, method=ask.method, **sent) as response:
            answered = response.get_data(as_text=True)
            headers = sorted(self._plain(*header) for header in response.headers if header[0] != "Content-Length")
        client.delete_cookie(
            self.app.config["SESSION_COOKIE_NAME"]
        )  # what one answer has to say is not for the next page
        if ask.id:
            for given in (ask.id, NOBODY):  # a page may repeat its own address
                answered = answered.replace(given, "…")
                headers = [(name, value.replace(given, "…")) for name, value in headers]
        # A form's own key is new each time it is shown.
        return Answer(response.status_code, tuple(headers), re.sub(r"\b[0-9a-f]{32}\b", "a new key", answered))

    def reads(self, reader: str, *languages: str) -> Iterator[Ask]:
        """Every page, list and download: with an id of each mark that the reader may know, where it takes one."""
        for rule, noun in self._routes("GET"):
            whole = Ask(reader, "GET", self._path(rule, noun))
            asks = [whole.about(id_) for id_ in self._one_of_each(reader, noun, known=True)] if noun else [whole]
            if not self.admits(whole):
                yield from asks[:1]
                continue
            for ask in asks:
                yield from [ask] if ask.by_program else (ask._replace(language=name) for name in languages)

    def strange_reads(self, reader: str) -> Iterator[Pair]:
        """Every page, list and download that takes an id, with one of each mark that the reader may not know."""
        for rule, noun in self._routes("GET"):
            if noun:
                yield from self._pairs(noun, Ask(reader, "GET", self._path(rule, noun)))
        for path, noun in FILTERS:
            yield from self._pairs(noun, Ask(reader, "GET", path + HOLE))

    def strange_changes(self, reader: str) -> Iterator[Pair]:
        """Every change that names an id, in its path or in its body, with one of each mark the reader may not know."""
        for rule, noun in self._routes("POST", "DELETE"):
            (method,) = (rule.methods or set()) & {"POST", "DELETE"}
            path = self._path(rule, noun)
            if noun and rule.endpoint in CHANGES:
                yield from self._pairs(noun, Ask(reader, method, path, self._own(reader, CHANGES[rule.endpoint])))
            if noun:
                path = path.replace(HOLE, self._some_of(reader, noun))
            for naming in NAMING:
                if naming.endpoint == rule.endpoint:
                    yield from self._pairs(naming.noun, Ask(reader, method, path, self._own(reader, naming.body)))

    def admits(self, ask: Ask) -> bool:
        """Whether the door lets this person in there at all: `portal/test_guards.py` holds it to that table."""
        endpoint, _ = self.app.url_map.bind("localhost").match(ask.path.split("?")[0], method=ask.method)
        permission = getattr(self.app.view_functions[endpoint], "permission", None)
        if permission is None:
            return True
        (scope, allowed), actor = PERMISSIONS[permission], self.exchange.people[ask.reader].actor
        by_role = any((actor.side, role) in allowed for role in actor.roles)
        return by_role and (not ask.by_program or scope in members.SCOPES)

    def untried(self) -> set[str]:
        """Changes that take an id in their path and are not in CHANGES."""
        taking = {rule.endpoint for rule, noun in self._routes("POST", "PUT", "PATCH", "DELETE") if noun}
        return taking - set(CHANGES) - UNLIMITED

    def _plain(self, name: str, value: str) -> tuple[str, str]:
        """The header; a cookie of messages as what it says, without its time and signature."""
        cookie, _, signed = value.partition("=")
        if name != "Set-Cookie" or cookie != self.app.config["SESSION_COOKIE_NAME"]:
            return name, value
        signing: Any = SecureCookieSessionInterface().get_signing_serializer(self.app)
        said = signed.split(";")[0]
        return name, json.dumps(signing.loads(said) if said else {}, ensure_ascii=False)

    def _routes(self, *methods: str) -> Iterator[tuple[Rule, str | None]]:
        """The routes of these methods, each with the name of the id it takes, if any."""
        for rule in self.app.url_map.iter_rules():
            if rule.endpoint not in STATIC and (rule.methods or set()) & set(methods):
                nouns = [*(rule.arguments - FIXED.keys()), None]
                yield rule, nouns[0]

    def _path(self, rule: Rule, noun: str | None) -> str:
        values = {name: FIXED.get(name, HOLE) for name in rule.arguments}
        (method, *_) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        return self.app.url_map.bind("localhost").build(rule.endpoint, values, method=method)

    def _pairs(self, noun: str, ask: Ask) -> Iterator[Pair]:
        """Where the door lets nobody like the reader in, one foreign id tells as much as many."""
        unknown = ask.about(UNKNOWN.get(noun, NOBODY))
        for id_ in islice(self._one_of_each(ask.reader, noun, known=False), None if self.admits(unknown) else 1):
            yield Pair(ask.about(id_), unknown)

    def _one_of_each(self, reader: str, noun: str, *, known: bool) -> Iterator[str]:
        """An id of each mark among those that the reader may know, or may not."""
        found: dict[str, str] = {}
        for named in self.exchange.named:
            if named.noun == noun and (organisation_of(reader) in self.exchange.readers_of(named)) == known:
                found.setdefault(named.mark, named.id)
        return iter(found.values())

    def _own(self, reader: str, body: Body) -> Body:
        """The body with the reader's own ids where it names a noun."""
        text = json.dumps(body)
        for noun in re.findall(r"\{(\w+)\}", text):
            text = text.replace(f"{{{noun}}}", self._some_of(reader, noun))
        found: Body = json.loads(text)
        return found

    def _some_of(self, reader: str, noun: str) -> str:
        """An id of the reader's own, of what it works on if there is one."""
        organisation = organisation_of(reader)
        marks = (OWN.get(organisation), f"{organisation}own")
        found = {named.mark: named.id for named in reversed(self.exchange.named) if named.noun == noun}
        return next((found[mark] for mark in marks if mark in found), NOBODY)

    def client(self, reader: str, by_program: bool) -> FlaskClient:
        if (reader, by_program) not in self._clients:
            self._clients[reader, by_program] = self._signed_in(reader, by_program)
        return self._clients[reader, by_program]

    def _signed_in(self, reader: str, by_program: bool) -> FlaskClient:
        someone, client = self.exchange.people[reader], self.app.test_client()
        lender_id = someone.actor.mandate_lender_id
        with self.exchange.database.work(Actor(side=DOOR, org_id=someone.organisation.id)) as work:
            if by_program:
                scopes = list(members.SCOPES)
                token = members.create_token(work, someone.member.id, "program", scopes, 1, lender_id)
                client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token.secret}"
            else:
                session = members.sign_in(work, someone.member.email, PASSWORD)
                if lender_id:
                    members.work_for(work, session.row.id, lender_id)
                client.set_cookie(COOKIE, session.secret)
                client.environ_base["HTTP_X_CSRF_TOKEN"] = session.row.csrf_token  # type: ignore[union-attr]
        return client

"""A program that talks to the API: JSON in and out, raw bodies for files, a refusal as an exception."""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from urllib3 import HTTPConnectionPool

PATIENCE_SECONDS_MAX = 60


class Refused(Exception):
    """The API's problem details."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(f"{status} {problem.get('code')} {problem.get('errors', '')}")


class Client:
    """One person's or program's view of the API."""

    def __init__(self, pool: HTTPConnectionPool, token: str = "") -> None:
        self.pool = pool
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: Any) -> Any:
        return self._json("GET", _with(path, query))

    def post(self, path: str, body: dict[str, Any] | None = None, **query: Any) -> Any:
        return self._json("POST", _with(path, query), json=body if body is not None else {})

    def delete(self, path: str) -> None:
        self._json("DELETE", path)

    def send(self, path: str, content: Iterable[bytes], content_type: str = "text/csv", **query: Any) -> Any:
        """A file as the raw body, streamed."""
        headers = {"Content-Type": content_type}
        return self._json("POST", _with(path, query), body=content, extra=headers)

    def text(self, path: str) -> bytes:
        answer = self.pool.request("GET", f"/api/v1{path}", headers=self.headers, retries=False)
        if answer.status != 200:
            raise Refused(answer.status, answer.json())
        return answer.data

    def every(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All items of a list, page after page."""
        items: list[dict[str, Any]] = []
        after = None
        while True:
            page = self.get(path, limit=200, **query, **({"after": after} if after else {}))
            items += page["items"]
            after = page["next_after"]
            if not after:
                return items

    def _json(self, method: str, path: str, extra: dict[str, str] | None = None, **sent: Any) -> Any:
        """The answer; a 503 is asked again after the time it names, as every client should."""
        give_up = time.monotonic() + PATIENCE_SECONDS_MAX
        while True:
            answer = self.pool.request(
                method, f"/api/v1{path}", headers=self.headers | (extra or {}), retries=False, **sent
            )
            if answer.status == 503 and "body" not in sent and time.monotonic() < give_up:
                time.sleep(min(float(answer.headers.get("Retry-After", "1")), 1.0))
                continue
            if answer.status >= 400:
                raise Refused(answer.status, answer.json())
            return answer.json() if answer.data else None


def _with(path: str, query: dict[str, Any]) -> str:
    named = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(named)}" if named else path


class Person(NamedTuple):
    """Someone who can sign in."""

    organisation: str
    code: str
    roles: list[str]
    email: str
    client: Client
    id: str


def read_terms(manager: Person, offer_id: str) -> dict[str, str]:
    """What an acceptance of the offer, or a commitment to a bid, says: the terms that it was read with."""
    return {"terms_digest": manager.client.get(f"/offers/{offer_id}")["frozen_terms"]["digest"]}

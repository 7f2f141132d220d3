"""The keys a Work carries: makes and wraps them, opens them through custody, signs the log."""

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

from crypto.custody import PLATFORM, Custody
from crypto.grants import WrapContext, wrap
from crypto.notes import Checkpoint, assemble_note, verifier_key
from crypto.secret import Secret

OPENED_MAX = 1024


class WrappedKey(NamedTuple):
    """A fresh key, and its wrap to store."""

    key: Secret
    wrapped: bytes


class Vault:
    """Custody with a small memory of the keys it has opened; safe to share between threads."""

    def __init__(self, custody: Custody) -> None:
        self.custody = custody
        self._opened: OrderedDict[tuple[str, bytes, WrapContext], Secret] = OrderedDict()
        self._lock = Lock()

    def make_key(self, principal: str, context: WrapContext) -> WrappedKey:
        """A random 32-byte key, wrapped to the principal alone."""
        key = Secret.random()
        return WrappedKey(key, wrap(key, self.custody.public(principal).kem, context))

    def make_class_keys(
        self, principal: str, lender_id: bytes, portfolio_id: bytes, field_classes: Iterable[str]
    ) -> dict[str, WrappedKey]:
        """One fresh key for each field class of a portfolio, by class."""
        return {
            name: self.make_key(principal, WrapContext("class-key", lender_id, portfolio_id, name))
            for name in field_classes
        }

    def open_key(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        """The wrapped key, or `WrapBroken`; the least lately used is forgotten first."""
        place = (principal, wrapped, context)
        with self._lock:
            if place in self._opened:
                self._opened.move_to_end(place)
                return self._opened[place]
        key = self.custody.unwrap(principal, wrapped, context)
        with self._lock:
            self._opened[place] = key
            if len(self._opened) > OPENED_MAX:
                self._opened.popitem(last=False)
        return key

    def sign_checkpoint(self, checkpoint: Checkpoint) -> str:
        """The checkpoint as a note signed with the platform's log key, under the log's own name."""
        text = checkpoint.text()
        signature = self.custody.sign(PLATFORM, "checkpoint", text.encode())
        return assemble_note(text, self.log_verifier(checkpoint.origin), signature)

    def log_verifier(self, origin: str) -> str:
        """What an auditor pins for a log: `NAME+HASH+KEY`."""
        public = self.custody.public(PLATFORM).log
        assert public is not None, "the platform's keys include the log's"
        return verifier_key(origin, public)

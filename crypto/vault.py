"""The keys a Work carries: makes and wraps them, opens them through custody, signs the log, seals our own secrets."""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple, TypeAlias

from crypto import cobblestone
from crypto.cells import lp
from crypto.custody import PLATFORM, Custody, PublicKeys
from crypto.errors import SignatureRefused
from crypto.grants import Grant, Sign, WrapContext, check_grant, make_grant
from crypto.notes import Checkpoint, assemble_note, verifier_key
from crypto.opened import Opened, Stopwatch
from crypto.secret import Secret
from crypto.terms import Terms

OPENED_MAX = 1024

# Principal, wrap, its signature, context, and whose signature it is if not the principal's own.
Place: TypeAlias = tuple[str, bytes, bytes | None, WrapContext, bytes | None]

_SECRET_LABEL = b"consign/secret/1\x00"


class WrappedKey(NamedTuple):
    """A key, its wrap to store, and the principal's own signature over the wrap to store beside it."""

    key: Secret
    wrapped: bytes
    signature: bytes


class Vault:
    """Custody with a small memory of the keys it has opened; safe to share between threads."""

    def __init__(self, custody: Custody, stopwatch: Stopwatch) -> None:
        self.custody = custody
        self._opened: Opened[Place, Secret] = Opened(stopwatch, OPENED_MAX)

    def make_key(self, principal: str, context: WrapContext) -> WrappedKey:
        """A random 32-byte key, wrapped to the principal alone."""
        return self.wrap_key(principal, Secret.random(), context)

    def wrap_key(self, principal: str, key: Secret, context: WrapContext) -> WrappedKey:
        """A key that stands, wrapped to the principal's newest KEM key; its `context` has a serial of its own."""
        made = make_grant(key, self.custody.public(principal).kem, context, self._signer(principal))
        return WrappedKey(key, made.wrapped, made.signature)

    def make_class_keys(
        self, principal: str, lender_id: bytes, portfolio_id: bytes, field_classes: Iterable[str], epoch: int = 1
    ) -> dict[str, WrappedKey]:
        """One fresh key for each field class of a portfolio, by class."""
        return {
            name: self.make_key(principal, WrapContext.of_class(lender_id, portfolio_id, name, epoch))
            for name in field_classes
        }

    def open_key(self, principal: str, wrapped: bytes, signature: bytes | None, context: WrapContext) -> Secret:
        """The principal's own key: `SignatureRefused` unless it signed the wrap itself, `WrapBroken`.

        The signing key is custody's, never one read beside the wrap: whoever can write there could swap both.
        """
        return self._open(principal, wrapped, signature, context, granter_signing=None)

    def open_granted(self, principal: str, grant: Grant, granter_signing: bytes) -> Secret:
        """What somebody else granted to the principal, or `SignatureRefused`, or `WrapBroken`.

        `granter_signing` is the key that the principal has accepted as the granter's. Terms and expiry are the
        caller's to hold against what is asked for.
        """
        return self._open(principal, grant.wrapped, grant.signature, grant.context, granter_signing)

    def adopt_key(self, principal: str, wrapped: bytes, context: WrapContext) -> WrappedKey:
        """A key wrapped before wraps were signed, wrapped anew as the next serial, and signed; or `WrapBroken`.

        It says yes to whatever opens: only set-up asks it, about what it found when it brought signatures in.
        """
        key = self.custody.unwrap(principal, wrapped, context)
        return self.wrap_key(principal, key, context._replace(serial=context.serial + 1))

    def make_case_grant(
        self, granter: str, case_key: Secret, recipient_public: bytes, context: WrapContext, terms: Terms
    ) -> Grant:
        """The key of one case, granted to a key that its holder keeps. Terms complete the context (`make_grant`)."""
        return make_grant(case_key, recipient_public, context, self._signer(granter), terms)

    def seal_secret(self, purpose: str, plaintext: bytes) -> bytes:
        """Seal a secret of the platform's own. `purpose` names its place: what is sealed for one opens in no other."""
        return cobblestone.seal(self._secret_key().reveal(), _secret_context(purpose), plaintext)

    def open_secret(self, purpose: str, sealed: bytes) -> bytes:
        """The secret, or `SealBroken`."""
        return cobblestone.open_(self._secret_key().reveal(), _secret_context(purpose), sealed)

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

    def _open(
        self,
        principal: str,
        wrapped: bytes,
        signature: bytes | None,
        context: WrapContext,
        granter_signing: bytes | None,
    ) -> Secret:
        place = (principal, wrapped, signature, context, granter_signing)
        key = self._opened.find(place)
        if key is None:
            public = self.custody.public(principal)
            _require_signed(wrapped, signature, context, public, granter_signing or public.signing)
            key = self.custody.unwrap(principal, wrapped, context)
            self._opened.keep(place, key)
        return key

    def _signer(self, principal: str) -> Sign:
        return partial(self.custody.sign, principal)

    def _secret_key(self) -> Secret:
        return self.custody.derive(PLATFORM, "secrets")


def _secret_context(purpose: str) -> bytes:
    return _SECRET_LABEL + lp(purpose.encode())


def _require_signed(
    wrapped: bytes, signature: bytes | None, context: WrapContext, recipient: PublicKeys, granter_signing: bytes
) -> None:
    """The signature names the recipient's key by its fingerprint, and the wrap may be to an older one."""
    for kem in (recipient.kem, *recipient.older):
        try:
            return check_grant(wrapped, signature or b"", kem, context, granter_signing)
        except SignatureRefused:
            continue
    raise SignatureRefused

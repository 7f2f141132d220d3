"""Who holds the private keys: the interface, the keyring of a single machine, and a move from one holder to another."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from crypto.errors import CryptoError, FileRefused, KeyringReadOnly, KeyringRefused, PrincipalUnknown, ValueRefused
from crypto.errors import WrapBroken as WrapBroken
from crypto.grants import WrapContext
from crypto.principal import PLATFORM as PLATFORM
from crypto.principal import SIGNING_KEYS as SIGNING_KEYS
from crypto.principal import Entry, PrincipalKeys, seed_of, text_of
from crypto.principal import PublicKeys as PublicKeys
from crypto.private_file import read_private, replace_private, turn
from crypto.secret import Secret

FORMAT = "consign-keyring/2"
FORMAT_BEFORE = "consign-keyring/1"  # one KEM key of a principal, and no `secrets`

Change: TypeAlias = Callable[[PrincipalKeys | None], PrincipalKeys]


class Custody(Protocol):
    """Uses private keys on behalf of principals (an organisation's id, or `platform`) and never gives them out.

    Every call raises `PrincipalUnknown` where there are no keys of the principal, `KeyringRefused` where what is
    there cannot be used, and `CustodyUnavailable` where nothing answers now.
    """

    kind: str  # local or aws-kms: who holds the keys made from now on

    def create(self, principal: str) -> PublicKeys:
        """Make the principal's keys; where they stand already, change nothing and answer them."""

    def public(self, principal: str) -> PublicKeys:
        """The public keys as they stand now, in whichever process they were changed."""

    def unwrap(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        """Open a key wrapped to any KEM key that the principal still holds, or `WrapBroken`."""

    def sign(self, principal: str, purpose: str, message: bytes) -> bytes:
        """An Ed25519 signature (64 bytes) for one of `SIGNING_KEYS`."""

    def derive(self, principal: str, purpose: str) -> Secret:
        """The principal's own 32-byte key for a purpose, always the same; only `platform` has any."""

    def rotate(self, principal: str) -> PublicKeys:
        """Make a new KEM key to wrap to; the older ones go on opening. The signing keys stay."""

    def retire(self, principal: str) -> PublicKeys:
        """Drop all KEM keys but the newest.

        What is still wrapped to an older one never opens again: call it when all is wrapped anew and no
        transaction from before the rotation is still running.
        """


class HeldKeys(ABC):
    """Custody whose private keys come into this process; a subclass says where they rest."""

    kind: str

    @abstractmethod
    def find(self, principal: str, newest: bool = False) -> PrincipalKeys | None:
        """The principal's keys, if they are held here; as they are at this moment where `newest` is asked for."""

    @abstractmethod
    def change(self, principal: str, change: Change) -> PrincipalKeys:
        """Keep what `change` makes of the newest keys, one process at a time; the same object changes nothing."""

    @abstractmethod
    def forget(self, principal: str) -> None:
        """Drop all keys of the principal; somebody else holds them."""

    def create(self, principal: str) -> PublicKeys:
        if not principal:
            raise ValueRefused("a principal has a name")

        def created(standing: PrincipalKeys | None) -> PrincipalKeys:
            return standing.completed(principal) if standing else PrincipalKeys.generate(principal)

        return self.change(principal, created).public

    def public(self, principal: str) -> PublicKeys:
        return self._held(principal, newest=True).public

    def unwrap(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        held = self._held(principal)
        try:
            return held.unwrap(wrapped, context)
        except WrapBroken:
            pass
        newest = self._held(principal, newest=True)
        if newest is held:
            raise WrapBroken
        return newest.unwrap(wrapped, context)

    def sign(self, principal: str, purpose: str, message: bytes) -> bytes:
        return self._held(principal).sign(purpose, message)

    def derive(self, principal: str, purpose: str) -> Secret:
        return self._held(principal).derive(purpose)

    def rotate(self, principal: str) -> PublicKeys:
        return self.change(principal, lambda standing: self._known(principal, standing).rotated()).public

    def retire(self, principal: str) -> PublicKeys:
        return self.change(principal, lambda standing: self._known(principal, standing).retired()).public

    def _held(self, principal: str, newest: bool = False) -> PrincipalKeys:
        return self._known(principal, self.find(principal, newest))

    def _known(self, principal: str, found: PrincipalKeys | None) -> PrincipalKeys:
        if found is None:
            raise PrincipalUnknown(f"{self} holds no keys of {principal}: restore them from the backup")
        return found


class Stamp(NamedTuple):
    """What changes with a file: a keyring replaced, or opened to others, since it was read."""

    inode: int
    changed_ns: int
    size: int


class LocalKeyring(HeldKeys):
    """Custody in one JSON file of mode 0600, shared by the processes of one machine.

    Writers take turns on a lock file and replace the keyring whole; readers read it again when it was replaced.
    """

    kind = "local"

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._seen = self._read()

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"LocalKeyring({str(self.path)!r})"

    def find(self, principal: str, newest: bool = False) -> PrincipalKeys | None:
        stamp, known = self._seen
        if stamp != self._stamp():
            self._seen = _, known = self._read()
        return known.get(principal)

    def change(self, principal: str, change: Change) -> PrincipalKeys:
        with self._writing() as known:
            standing = known.get(principal)
            wanted = change(standing)
            if wanted is not standing:
                self._replace(known | {principal: wanted})
        return wanted

    def forget(self, principal: str) -> None:
        with self._writing() as known:
            if known.pop(principal, None):
                self._replace(known)

    def _stamp(self) -> Stamp | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeyringRefused(f"{self.path} cannot be read: {error.strerror}") from None
        return Stamp(found.st_ino, found.st_ctime_ns, found.st_size)

    def _read(self) -> tuple[Stamp | None, dict[str, PrincipalKeys]]:
        stamp = self._stamp()  # Taken first: what is replaced while it is read is read once more.
        try:
            text = read_private(self.path)
        except FileNotFoundError:
            return None, {}
        except FileRefused as refused:
            raise KeyringRefused(str(refused)) from None
        except OSError as error:
            raise KeyringRefused(f"{self.path} cannot be read: {error.strerror}") from None
        return stamp, read_keyring(text, str(self))

    @contextmanager
    def _writing(self) -> Iterator[dict[str, PrincipalKeys]]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with turn(self.path):
            yield self._read()[1]

    def _replace(self, known: Mapping[str, PrincipalKeys]) -> None:
        principals = {name: keys.to_json(lambda _, seed: text_of(seed)) for name, keys in known.items()}
        replace_private(self.path, json.dumps({"format": FORMAT, "principals": principals}, indent=1).encode())
        self._seen = self._stamp(), dict(known)


class EnvironmentKeyring(HeldKeys):
    """Custody in an environment variable that holds a keyring file's text: the keys serve and never change."""

    kind = "local"

    def __init__(self, variable: str, text: Secret) -> None:
        self._variable = variable
        self._known_keys = read_keyring(text.reveal(), variable)

    def __str__(self) -> str:
        return self._variable

    def find(self, principal: str, newest: bool = False) -> PrincipalKeys | None:
        return self._known_keys.get(principal)

    def change(self, principal: str, change: Change) -> PrincipalKeys:
        standing = self.find(principal)
        if standing is None or change(standing) is not standing:
            raise KeyringReadOnly(
                f"{self} is read-only: make this change where the keyring is a file, then put its new text there"
            )
        return standing

    def forget(self, principal: str) -> None:
        if self.find(principal):
            raise KeyringReadOnly(f"{self} is read-only: take the keys of {principal} out of it")


class Custodies:
    """The custody in use, and others that still hold keys made before it was chosen.

    A rotation brings a principal over, older keys and signing keys included; retiring them forgets them elsewhere.
    """

    def __init__(self, chosen: HeldKeys, *others: HeldKeys) -> None:
        self.chosen = chosen
        self.others = others
        self.kind = chosen.kind

    def create(self, principal: str) -> PublicKeys:
        return self._holder(principal, self.chosen).create(principal)

    def public(self, principal: str) -> PublicKeys:
        first, *rest = [holder.public(principal) for holder in self._holders(principal)]
        standing = [first.kem, *first.older]
        elsewhere = [kem for keys in rest for kem in (keys.kem, *keys.older) if kem not in standing]
        return first._replace(older=(*first.older, *elsewhere))

    def unwrap(self, principal: str, wrapped: bytes, context: WrapContext) -> Secret:
        for holder in self._holders(principal):
            try:
                return holder.unwrap(principal, wrapped, context)
            except WrapBroken:
                continue
        raise WrapBroken

    def sign(self, principal: str, purpose: str, message: bytes) -> bytes:
        return self._holders(principal)[0].sign(principal, purpose, message)

    def derive(self, principal: str, purpose: str) -> Secret:
        return self._holders(principal)[0].derive(principal, purpose)

    def rotate(self, principal: str) -> PublicKeys:
        standing = self._holders(principal)[0].find(principal, newest=True)
        assert standing is not None
        return self.chosen.change(principal, lambda here: (here or standing).rotated()).public

    def bring(self, principal: str) -> None:
        """Bring a principal over with the keys it has; the others keep them too."""
        standing = self._holders(principal)[0].find(principal, newest=True)
        assert standing is not None
        self.chosen.change(principal, lambda here: here or standing)

    def retire(self, principal: str) -> PublicKeys:
        first, *rest = self._holders(principal)
        if first is self.chosen:
            for holder in rest:
                holder.forget(principal)
        return first.retire(principal)

    def _holders(self, principal: str) -> list[HeldKeys]:
        """Who holds keys of the principal, the chosen custody first; PrincipalUnknown where nobody does."""
        found = [holder for holder in (self.chosen, *self.others) if holder.find(principal)]
        if not found:
            places = " nor ".join(map(str, (self.chosen, *self.others)))
            raise PrincipalUnknown(f"neither {places} holds keys of {principal}: restore them from the backup")
        return found

    def _holder(self, principal: str, fallback: HeldKeys) -> HeldKeys:
        return next((holder for holder in (self.chosen, *self.others) if holder.find(principal)), fallback)


def read_keyring(text: bytes, place: str) -> dict[str, PrincipalKeys]:
    """The principals of a keyring file's text, of this format or the one before; `place` names it in a refusal."""
    try:
        document = json.loads(text)
        version = document["format"]
        if version in (FORMAT, FORMAT_BEFORE):
            entries: dict[str, Entry] = document["principals"]
            return {
                name: PrincipalKeys.from_json(
                    entry if version == FORMAT else _entry_of_before(entry), lambda _, seed: seed_of(seed)
                )
                for name, entry in entries.items()
            }
    except (ValueError, KeyError, TypeError, AttributeError, CryptoError):
        version = None
    # Raised here, outside: the parser's error carries the keyring's text.
    if version is None or not isinstance(version, str):
        raise KeyringRefused(f"{place} is corrupt: restore it from its backup, do not edit it")
    raise KeyringRefused(f"{place} is not in the format {FORMAT}: use the release that wrote it")


def _entry_of_before(entry: Entry) -> Entry:
    return {**entry, "kem": [{"serial": 1, **entry["kem"]}]}

"""What can be refused here, as one tree; no message ever carries a value, a key or a plaintext.

CryptoError
├── SealBroken         sealed bytes do not open: wrong key, context, length or content, never said which
├── WrapBroken         a wrapped key does not open for this recipient and context
├── SignatureRefused   a signature does not stand for this key, purpose and message
├── ValueRefused       a value that cannot be sealed or indexed as it is
├── ProofRefused       a Merkle proof does not hold
├── NoteRefused        a note, verifier key or checkpoint is malformed or not signed by a known key
├── LogRefused         an exported log fails at a line
└── KeyringRefused     the keyring file cannot be used; the message says what to do
    └── PrincipalUnknown   custody holds no keys of that principal
"""


class CryptoError(Exception):
    """Anything this package refuses."""


class SealBroken(CryptoError):
    """Sealed bytes did not open."""

    def __init__(self) -> None:
        super().__init__("sealed bytes do not open")


class WrapBroken(CryptoError):
    """A wrapped key did not open."""

    def __init__(self) -> None:
        super().__init__("wrapped key does not open")


class SignatureRefused(CryptoError):
    """A signature did not verify."""

    def __init__(self) -> None:
        super().__init__("signature does not verify")


class ValueRefused(CryptoError):
    """A value has no canonical or normal form."""


class ProofRefused(CryptoError):
    """A Merkle proof did not verify."""


class NoteRefused(CryptoError):
    """A note, verifier key or checkpoint was refused."""


class LogRefused(CryptoError):
    """An exported log failed; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class KeyringRefused(CryptoError):
    """The keyring file cannot be used as it stands."""


class PrincipalUnknown(KeyringRefused):
    """Custody holds no keys of that principal."""

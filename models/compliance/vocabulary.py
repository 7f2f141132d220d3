"""The words a rule may use: a pack that uses another is refused, because a misspelt channel would silence its rule."""

from enum import StrEnum


class Channel(StrEnum):
    CALL = "call"
    AI_VOICE = "ai_voice"
    SMS = "sms"
    IM = "im"
    EMAIL = "email"
    LETTER = "letter"
    VISIT = "visit"


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class Party(StrEnum):
    DEBTOR = "debtor"
    GUARANTOR = "guarantor"
    RELATIVE = "relative"
    EMPLOYER = "employer"
    THIRD_PARTY = "third_party"


class Outcome(StrEnum):
    CONVERSATION = "conversation"
    RING_NO_ANSWER = "ring_no_answer"
    VOICEMAIL_LEFT = "voicemail_left"
    VOICEMAIL_NO_MESSAGE = "voicemail_no_message"
    ANSWERED_DROPPED = "answered_dropped"
    BUSY = "busy"
    NOT_IN_SERVICE = "not_in_service"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


class FieldClass(StrEnum):
    IDENTITY = "identity"
    CONTACT = "contact"
    RELATED = "related"
    ACCOUNT = "account"
    NOTES = "notes"


class Unit(StrEnum):
    """Whom a limit protects."""

    BORROWER = "borrower"
    NUMBER = "number"


class Verdict(StrEnum):
    BREACH = "breach"
    PERMITTED = "permitted"
    INSUFFICIENT = "insufficient_evidence"


class Standard(StrEnum):
    BAN = "ban"
    PRESUMPTION = "presumption"
    ADVISORY = "advisory"
    FACTOR = "factor"
    JUDGEMENT = "judgement"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Source(StrEnum):
    """Whether the text was read, or is remembered and waits for confirmation."""

    READ = "read"
    MEMORY = "memory"


class Force(StrEnum):
    """What binds those whom a pack addresses."""

    LAW = "law"
    STANDARD = "standard"
    SELF_REGULATION = "self_regulation"
    HOUSE = "house"


# These stand in events, never in a rule.
PROPOSED = "proposed"  # an outcome: asked for and not yet made, so it counts as the costliest
UNKNOWN = "unknown"  # a party: says no more than a missing one

"""Every table, imported once, so that the metadata is whole for migrations and tests."""

from models.agreement import Agreement
from models.audit import AccessRefusal, Checkpoint, LogHead, LogLeaf, OutboxEntry
from models.base import metadata
from models.borrower import Borrower
from models.breach import Breach, BreachEvidence
from models.break_item import Break, Match
from models.case import Case, CaseSalt, CaseSealing, PhoneToken
from models.case_correction import CaseCorrection
from models.case_document import CaseDocument
from models.claim import Claim
from models.commission_line import CommissionLine
from models.contact import Contact
from models.erasure import Erasure, LegalHold
from models.export import Export
from models.job_run import JobRun
from models.key_order import KeyOrder
from models.lease import Lease, LeasedCase
from models.ledger import CaseBalance, Feed, FeedError, LedgerPayment
from models.lender_setting import LenderSetting
from models.mandate import Mandate
from models.member import ApiToken, Idempotency, Member, SignIn
from models.offer import Offer, OfferedCase
from models.organisation import KeyApproval, Organisation, OrganisationKey, Tenant
from models.placement import Assignment, PlacedCase, Placement
from models.placement_freeze import PlacementFreeze
from models.portfolio import ClassKey, LenderKey, Portfolio, PortfolioError
from models.promise import Promise
from models.release import ReleaseRecord
from models.search import Search
from models.work_item import WorkItem

__all__ = [
    "AccessRefusal",
    "Agreement",
    "ApiToken",
    "Assignment",
    "Borrower",
    "Breach",
    "BreachEvidence",
    "Break",
    "Case",
    "CaseBalance",
    "CaseCorrection",
    "CaseDocument",
    "CaseSalt",
    "CaseSealing",
    "Checkpoint",
    "Claim",
    "ClassKey",
    "CommissionLine",
    "Contact",
    "Erasure",
    "Export",
    "Feed",
    "FeedError",
    "Idempotency",
    "JobRun",
    "KeyApproval",
    "KeyOrder",
    "Lease",
    "LeasedCase",
    "LedgerPayment",
    "LegalHold",
    "LenderKey",
    "LenderSetting",
    "LogHead",
    "LogLeaf",
    "Mandate",
    "Match",
    "Member",
    "Offer",
    "OfferedCase",
    "Organisation",
    "OrganisationKey",
    "OutboxEntry",
    "PhoneToken",
    "PlacedCase",
    "Placement",
    "PlacementFreeze",
    "Portfolio",
    "PortfolioError",
    "Promise",
    "ReleaseRecord",
    "Search",
    "SignIn",
    "Tenant",
    "WorkItem",
    "metadata",
]

"""Every table, imported once, so that the metadata is whole for migrations and tests."""

from models.acknowledgement_break import AcknowledgementBreak
from models.agency_document import AgencyDocument
from models.agency_standing import AgencyStanding
from models.agreement import Agreement
from models.audit import AccessRefusal, Checkpoint, LogHead, LogLeaf, OutboxEntry
from models.base import metadata
from models.bid import Award, Bid
from models.borrower import Borrower
from models.breach import Breach, BreachEvidence
from models.break_item import Break, Match
from models.case import Case, CaseSalt, CaseSealing, PhoneToken
from models.case_correction import CaseCorrection
from models.case_document import CaseDocument
from models.case_tally import CaseTally
from models.claim import Claim
from models.commission_line import CommissionLine
from models.contact import Contact
from models.erasure import Erasure, LegalHold
from models.exclusion import Exclusion
from models.export import Export
from models.job_run import JobRun
from models.key_order import KeyOrder
from models.lease import Lease, LeasedCase
from models.ledger import CaseBalance, Feed, FeedError, LedgerPayment
from models.lender_setting import LenderSetting
from models.mandate import Mandate
from models.member import ApiToken, Idempotency, Member, SignIn
from models.notice import Notice
from models.offer import Offer
from models.organisation import KeyApproval, Organisation, OrganisationKey, Tenant
from models.placement import Assignment, PlacedCase, Placement
from models.placement_freeze import PlacementFreeze
from models.portfolio import ClassKey, LenderKey, Portfolio, PortfolioError
from models.promise import Promise
from models.rate_card import RateCard, RateCell
from models.recall_request import RecallCase, RecallRequest
from models.release import ReleaseRecord
from models.retention import Retention
from models.search import Search
from models.standard_terms import StandardTerms
from models.tender import TapeKey, Tender, TenderedCase
from models.webhook import Webhook, WebhookDelivery
from models.work_item import WorkItem

__all__ = [
    "AccessRefusal",
    "AcknowledgementBreak",
    "AgencyDocument",
    "AgencyStanding",
    "Agreement",
    "ApiToken",
    "Assignment",
    "Award",
    "Bid",
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
    "CaseTally",
    "Checkpoint",
    "Claim",
    "ClassKey",
    "CommissionLine",
    "Contact",
    "Erasure",
    "Exclusion",
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
    "Notice",
    "Offer",
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
    "RateCard",
    "RateCell",
    "RecallCase",
    "RecallRequest",
    "ReleaseRecord",
    "Retention",
    "Search",
    "SignIn",
    "StandardTerms",
    "TapeKey",
    "Tenant",
    "Tender",
    "TenderedCase",
    "Webhook",
    "WebhookDelivery",
    "WorkItem",
    "metadata",
]

"""The record of an award in lots, and a bidder's part of one, computed again."""

from typing import Any, Final
from uuid import UUID

from .lots import (
    LOTS_MAX,
    LOTS_TIE_RULE,
    OTHER_PACKAGE_WON,
    OUTBID,
    LotBid,
    LotResult,
    LotScoring,
    Package,
    PackageResult,
    decide_lots,
    faults_in,
    holders_of,
    judge_packages,
    lots_outcome_of,
    read_lots,
    read_packages,
    told_of,
    value_of,
    void_package,
    whole_of,
)
from .shapes import (
    AwardRefused,
    Shape,
    exactly,
    is_amount,
    is_count,
    is_id,
    is_object,
    is_score,
    is_signed_amount,
    is_text,
    list_of,
    one_of,
    or_null,
    require_members,
)
from .terms import COMMITMENT_MISMATCH, LOST, NO_CASES, REFUSED_BY_GATE, VOID, VOID_REASONS, WON, Terms, refusal_of
from .whole_record import (
    FRAME_SHAPE,
    GATE_SHAPE,
    HEAD_SHAPE,
    OF_THESE_BIDS,
    PUBLISHED_SHAPE,
    require_closed,
    require_in_time,
    require_once,
    require_revealed,
)

LOTS_RECORD, LOTS_PART = "consign/award/2", "consign/award-part/2"

_REASONS: Final = (OUTBID, OTHER_PACKAGE_WON, NO_CASES, *VOID_REASONS)
_SCORING_SHAPE: Final[Shape] = PUBLISHED_SHAPE | {
    "divided_by": one_of(("buckets", "provinces")),
    "lots": list_of(is_object),
}
_LOT_SHAPE: Final[Shape] = {
    "values": list_of(is_text),
    "case_count": is_count,
    "borrower_count": is_count,
    "balance": is_amount,
}
_PACKAGE_SHAPE: Final[Shape] = {
    "lots": list_of(is_count),
    **dict.fromkeys(Terms._fields, is_text),
    "refusal": or_null(one_of(REFUSED_BY_GATE)),
    "state": one_of((WON, LOST, VOID)),
    "score": or_null(is_score),
    "value": or_null(is_signed_amount),
    "reason": or_null(one_of(_REASONS)),
}
_BID_SHAPE: Final[Shape] = HEAD_SHAPE | {"packages": or_null(list_of(is_object)), "reason": or_null(one_of(_REASONS))}
_PART_SHAPE: Final[Shape] = {
    "format": one_of((LOTS_PART,)),
    "tender": is_id,
    "lender": is_id,
    "scoring": is_object,
    "tie_rule": exactly(list(LOTS_TIE_RULE)),
    "bid": is_object,
}
_RECORD_SHAPE: Final[Shape] = FRAME_SHAPE | {
    "format": one_of((LOTS_RECORD,)),
    "tie_rule": exactly(list(LOTS_TIE_RULE)),
    "empty_lots": list_of(is_count),
    "winners": list_of(or_null(is_id)),
    "value": is_amount,
}


def verify_lots_record(record: dict[str, Any]) -> str:
    require_members("the record", record, _RECORD_SHAPE)
    scoring, empty = _read_scoring(record["scoring"]), record["empty_lots"]
    require_closed(record)
    if empty != sorted(set(empty) & set(range(1, len(scoring.lots) + 1))):
        raise AwardRefused("the empty lots are not lots of this tender, each once and in order")
    entries = [require_members(f"bid {at}", bid, _BID_SHAPE) for at, bid in enumerate(record["bids"], start=1)]
    require_once(entries)
    for entry in entries:
        require_in_time(entry, record["commit_until"], record["reveal_until"])
    bids = [_read_bid(entry, scoring, _PACKAGE_SHAPE | GATE_SHAPE) for entry in entries]
    results = decide_lots(UUID(record["tender"]), scoring, bids, empty)
    for entry, result in zip(entries, results, strict=True):
        _require_gate(entry)
        _require_same(entry, result)
    held = holders_of(scoring, bids, results)
    outcome, value = lots_outcome_of(results), value_of(scoring, bids, results)
    if (record["winners"], record["outcome"], record["value"]) != (held, outcome, value):
        raise AwardRefused(f"the bids come to {outcome}, worth {value}, the lots to {held}")
    placed = sum(one is not None for one in held)
    scored = sum(one.packages is not None and one.reason != COMMITMENT_MISMATCH for one in results)
    came_out = f"{len(bids)} bids, {scored} scored, {placed} of {len(held)} lots placed, worth {value}"
    return f"VERIFIED: {came_out}; {OF_THESE_BIDS}"


def verify_lots_part(part: dict[str, Any]) -> str:
    """Of one's own bid alone: that it is what was committed, and that scores and values are right."""
    require_members("the part", part, _PART_SHAPE)
    scoring, entry = _read_scoring(part["scoring"]), require_members("the bid", part["bid"], _BID_SHAPE)
    bid = _read_bid(entry, scoring, _PACKAGE_SHAPE)
    judged = judge_packages(UUID(part["tender"]), scoring, bid)
    written = entry["packages"] or []
    won = any(one["state"] == WON for one in written)
    found = [_own_result(scoring, bid, one, won, *judgement) for one, judgement in zip(written, judged, strict=True)]
    if sum(one.state == WON for one in found) > 1:
        raise AwardRefused("more than one package of the bid has won")
    _require_same(entry, whole_of(bid, found))
    return f"VERIFIED: the bid is {entry['state']}"


def _own_result(
    scoring: LotScoring, bid: LotBid, written: dict[str, Any], won: bool, package: Package, flaw: str | None
) -> PackageResult:
    """What the bidder can compute: whether a package is void. Which valid one `won`, if any, follows from others' bids,
    and whether its lots were empty from the lender's record."""
    if flaw:
        return void_package(scoring, bid, package, flaw)
    told = told_of(scoring, bid, package)
    if written["state"] == WON:
        return PackageResult(WON, *told, None)
    lost_for = OTHER_PACKAGE_WON if won else OUTBID
    return PackageResult(LOST, *told, NO_CASES if written["reason"] == NO_CASES else lost_for)


def _read_scoring(given: dict[str, Any]) -> LotScoring:
    require_members("the scoring", given, _SCORING_SHAPE)
    if not 1 <= len(given["lots"]) <= LOTS_MAX:
        raise AwardRefused("the scoring: there are too few lots, or too many")
    for number, lot in enumerate(given["lots"], start=1):
        require_members(f"lot {number}", lot, _LOT_SHAPE)
        if lot["balance"] == "0.00":
            raise AwardRefused(f"lot {number}: balance is nothing")
    scoring = read_lots(given)
    values = [value for lot in scoring.lots for value in lot.values]
    if not all(lot.values for lot in scoring.lots) or len(set(values)) != len(values):
        raise AwardRefused("the scoring: the lots share a value, or one has none")
    return scoring


def _read_bid(entry: dict[str, Any], scoring: LotScoring, package_shape: Shape) -> LotBid:
    given = entry["packages"]
    require_revealed(entry, given is not None)
    for number, one in enumerate(given or [], start=1):
        require_members(f"bid {entry['bid']}: package {number}", one, package_shape)
    return LotBid(
        entry["bid"],
        UUID(entry["agency"]),
        bytes.fromhex(entry["commitment"]),
        entry["committed_at"],
        entry["conduct_factor"],
        None if given is None else _read_packages(entry["bid"], given, len(scoring.lots)),
        bytes.fromhex(entry["nonce"]) if entry["nonce"] else None,
        tuple(one["refusal"] for one in given or []),
    )


def _read_packages(bid: str, given: list[dict[str, Any]], lot_count: int) -> tuple[Package, ...]:
    """In their one order, as they are committed to."""
    bare = [{name: one[name] for name in ("lots", *Terms._fields)} for one in given]
    if faults := faults_in(bare, lot_count):
        raise AwardRefused(f"bid {bid}: package {faults[0].row}: {faults[0].field} is not in its form")
    packages = read_packages(bare, lot_count)
    if [package.spelled() for package in packages] != bare:
        raise AwardRefused(f"bid {bid}: its packages are not in their order")
    return packages


def _require_gate(entry: dict[str, Any]) -> None:
    for package in entry["packages"] or []:
        if package["refusal"] != refusal_of(package["gate"]):
            raise AwardRefused(f"bid {entry['bid']}: a refusal is not what the gate's reasons come to")


def _require_same(entry: dict[str, Any], result: LotResult) -> None:
    for name in ("state", "reason"):
        if entry[name] != getattr(result, name):
            raise AwardRefused(f"bid {entry['bid']}: {name} is {getattr(result, name)}, not {entry[name]}")
    packages = zip(entry["packages"] or [], result.packages or (), strict=True)
    for number, (written, found) in enumerate(packages, start=1):
        for name, value in found._asdict().items():
            if written[name] != value:
                raise AwardRefused(f"bid {entry['bid']}: package {number}: {name} is {value}, not {written[name]}")

"""Putting work into the queue, in the transaction of the change that causes it."""

import json
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from models.work import Work

# What jobs/ can do, by name. Verbs know these names and nothing else of jobs/.
ALLOCATION: Final = "allocation"  # the one that is about a tender, not about a business date
TASKS: Final = frozenset({"expiry", "papers", "rotation", "conduct", "reconciliation", "commission", ALLOCATION})
QUEUE: Final = "nightly"

WEBHOOKS: Final = "webhooks"  # the task of telling one webhook, and a queue of its own: receivers may be slow
DELIVERIES_AT_ONCE: Final = 50  # of one task

_DEFER = text(
    """select procrastinate.procrastinate_defer_jobs_v1(array[
        row(:queue, :task, 0, :turn, null, cast(:args as jsonb), null)::procrastinate.procrastinate_job_to_defer_v1
    ])"""
)


def enqueue(work: Work, task_name: str, **ids: UUID | str) -> int:
    """The queue's number of the task; it starts once this Work has committed.

    `ids` are ids, dates and codes, never a value. Tasks of one name and tenant run one after the other.
    """
    if task_name not in TASKS:
        raise ValueError(f"no job is called {task_name}")
    numbers: list[int] = work.session.scalars(
        _DEFER, {"queue": QUEUE, "task": task_name, "turn": f"{task_name}/{work.tenant_id}", "args": _args(ids)}
    ).one()
    return numbers[0]


_HAS = text(
    """select exists (
        select from procrastinate.procrastinate_jobs
        where task_name = :task and args = cast(:args as jsonb) and status in ('todo', 'doing')
    )"""
)


def has(work: Work, task_name: str, **ids: UUID | str) -> bool:
    """Whether such a task waits or is being done. For jobs: nobody else may read the queue."""
    found: bool = work.session.scalars(_HAS, {"task": task_name, "args": _args(ids)}).one()
    return found


def _args(ids: Mapping[str, UUID | str]) -> str:
    return json.dumps({name: str(value) for name, value in ids.items()}, sort_keys=True)


_DEFER_DELIVERIES = text(
    """select procrastinate.procrastinate_defer_jobs_v1(array[
        row(:queue, :queue, 0, :turn, null, cast(:args as jsonb), now() + make_interval(secs => :delay)
    )::procrastinate.procrastinate_job_to_defer_v1])"""
)


def enqueue_deliveries(
    work: Work, deliveries: Sequence[tuple[UUID, int]], turn: UUID | None = None, delay_seconds: float = 0
) -> None:
    """Attempts at webhook deliveries of the Work's tenant, one after the other: each (id, how many attempts it had).

    Tasks of one `turn` follow each other; one with a delay has none, because those behind it would wait for it too.
    """
    for start in range(0, len(deliveries), DELIVERIES_AT_ONCE):
        batch = [(str(id_), attempt) for id_, attempt in deliveries[start : start + DELIVERIES_AT_ONCE]]
        args = json.dumps({"org_id": str(work.tenant_id), "deliveries": batch})
        order = {"queue": WEBHOOKS, "turn": turn and f"{WEBHOOKS}/{turn}", "args": args, "delay": delay_seconds}
        work.session.execute(_DEFER_DELIVERIES, order)

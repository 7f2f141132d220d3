"""Putting work into the queue, in the transaction of the change that causes it."""

import json
from typing import Final
from uuid import UUID

from sqlalchemy import text

from models.work import Work

# What jobs/ can do, by name. Verbs know these names and nothing else of jobs/.
TASKS: Final = frozenset({"expiry", "conduct", "reconciliation", "commission"})
QUEUE: Final = "nightly"

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
    args = json.dumps({name: str(value) for name, value in ids.items()}, sort_keys=True)
    numbers: list[int] = work.session.scalars(
        _DEFER, {"queue": QUEUE, "task": task_name, "turn": f"{task_name}/{work.tenant_id}", "args": args}
    ).one()
    return numbers[0]

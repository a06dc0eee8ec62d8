"""The sweep: every few minutes, what was lost on its way through the pipeline is started again.

An event may never come, an execution may end before its image is settled: throttled for longer
than it may last, or stopped. The row then stays as it is, and in the index of what is not settled.
Whatever has been there longer than an execution lasts has nothing under way, and is started again;
not for ever: each time it has longer to wait, and after a day it has failed. Objects without a row
get one first (`strays.py`). Tickets whose bytes never came go, as at home (`local/unfilled.py`).

Safe to run at any time and twice at once: who starts an image again claims it in its row first.
A run does so much and no more, the oldest first; the next one goes on.
"""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Literal

from dandyroll.aws.strays import adopt_all_strays, adopt_strays
from dandyroll.aws.unsettled import Waiting, claim, give_back, oldest
from dandyroll.aws.upkeep import Upkeep
from dandyroll.errors import StoreUnavailable, Unfinished
from dandyroll.keys import original_key
from dandyroll.models import SETTLED, Row

log = logging.getLogger("dandyroll.sweep")

STARTS = 8
"""How often an image is started again; the waits between add up to about a day."""

_LONGEST_WAIT_S = 6 * 60 * 60
_LOOK = 1000  # images of a shard to look at in a run
_MOST = 1000  # images to see to in a run, of each kind
_THREADS = 8
_CLAIMED_FOR_S = 24 * 60 * 60  # a client may try an upload again for a day, under its key

Outcome = Literal["started", "given up", "removed", "unfilled", "left", "stuck"]
"""Of an image looked after: `unfilled` waits for bytes, `left` is another's or settled, `stuck`
could not be started."""


@dataclass(frozen=True)
class Swept:
    """What one sweep did, and how long the oldest upload has waited that is not settled.

    Of what is `stuck` more may be left than that number says.
    """

    oldest_s: int
    started_again: int
    adopted: int
    given_up: int
    removed: int
    stuck: int


@dataclass(frozen=True)
class _Run:
    """One sweep. Once `is_stuck`, it starts nothing more: each vain try takes seconds."""

    upkeep: Upkeep
    now: int
    is_stuck: Event = field(default_factory=Event)

    @property
    def min_age_s(self) -> int:
        return self.upkeep.home.settings.sweep_min_age_s


def sweep(upkeep: Upkeep, now: int, *, every_key: bool = False) -> Swept:
    """Sweep once, as of `now`; with `every_key` look for strays in the whole bucket at once.

    Raises `StoreUnavailable` where bucket or table do not answer; what was done is done.
    """
    run = _Run(upkeep, now)
    before = now - run.min_age_s
    uploads = oldest(upkeep.table, "uploads", now + 1, _LOOK)
    done = _look_after_all(run, (w for w in uploads if w.since < before), _CLAIMED_FOR_S)
    waiting = [w.since for w in uploads if done.get(w.image_id) not in ("unfilled", "removed")]
    tickets = oldest(upkeep.table, "tickets", before, _LOOK)
    done |= _look_after_all(run, tickets, 2 * upkeep.home.settings.ticket_lifetime_s)
    strays = adopt_all_strays(upkeep, now) if every_key else adopt_strays(upkeep, now, _MOST)
    adopted = 0
    for row in strays:
        done[row.image_id] = _start_again(run, Waiting(row.image_id, now), row)
        adopted += 1
    counts = list(done.values())
    return Swept(
        oldest_s=now - min(waiting, default=now),
        started_again=counts.count("started"),
        adopted=adopted,
        given_up=counts.count("given up"),
        removed=counts.count("removed"),
        stuck=counts.count("stuck"),
    )


def wait_s(started: int, first_s: int) -> int:
    """How long an image is left alone that has been started again so often."""
    wait: int = first_s * 2**started
    return min(wait, max(first_s, _LONGEST_WAIT_S))


def _look_after_all(run: _Run, found: Iterable[Waiting], kept_s: int) -> dict[str, Outcome]:
    due = [waiting for waiting in found if waiting.due_at <= run.now][:_MOST]
    rows = run.upkeep.catalogue.find_all([waiting.image_id for waiting in due])

    def look_after(waiting: Waiting) -> Outcome:
        row = rows.get(waiting.image_id)
        if row is None or row.status in SETTLED:  # the index is a moment behind
            return "left"
        if row.status == "awaiting":
            outcome = _look_for_bytes(run, waiting, row, kept_s)
            if outcome is not None:
                return outcome
        return _start_again(run, waiting, row)

    with ThreadPoolExecutor(_THREADS) as threads:
        outcomes = threads.map(look_after, due)
        return {waiting.image_id: outcome for waiting, outcome in zip(due, outcomes, strict=True)}


def _look_for_bytes(run: _Run, waiting: Waiting, row: Row, kept_s: int) -> Outcome | None:
    """What becomes of an image without bytes; None where they have come and nothing else did."""
    original = run.upkeep.objects.find(original_key(row.image_id))
    if original is not None:
        return None if original.changed_at < run.now - run.min_age_s else "left"
    if waiting.since >= run.now - kept_s - run.min_age_s:
        return "unfilled"
    if not run.upkeep.catalogue.withdraw(row):
        return "left"
    log.info("removed: its bytes never came", extra=_labels(row))
    return "removed"


def _start_again(run: _Run, waiting: Waiting, row: Row) -> Outcome:
    if waiting.started >= STARTS:
        return _give_up(run.upkeep, row)
    if run.is_stuck.is_set():
        return "stuck"
    due_at = run.now + wait_s(waiting.started + 1, run.min_age_s)
    if not claim(run.upkeep.table, waiting, row, due_at):
        return "left"
    try:
        run.upkeep.executions.start(row, f"sweep {row.image_id} {due_at}")
    except StoreUnavailable:
        run.is_stuck.set()
        give_back(run.upkeep.table, waiting)
        log.exception("could not be started again", extra=_labels(row))
        return "stuck"
    log.warning("started again", extra={**_labels(row), "started": waiting.started + 1})
    return "started"


def _give_up(upkeep: Upkeep, row: Row) -> Outcome:
    # Imported here: the stages bring libvips, which the sweep has no other use for.
    from dandyroll.pipeline import record_failure

    message = f"Expected the image to be done in one of {STARTS + 1} starts; it was not."
    record_failure(row.image_id, Unfinished(message), upkeep.catalogue)
    log.error("failed: %s", Unfinished.code, extra=_labels(row))
    return "given up"


def _labels(row: Row) -> dict[str, str | int]:
    return {"image_id": row.image_id, "trace_id": row.ledger.get("trace_id", "")}

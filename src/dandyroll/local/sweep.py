"""The sweep: at start and every so often, the server puts right what crashes and people leave.

It adopts originals that have no row: files copied into `uploaded/`, or what an upload left that
broke off between object and row. It deletes temporary files and ownerless renditions, expired
claims, and what the `keep_` settings no longer keep; it settles tickets whose time is up. An
original is deleted only where its row says that it was to be. Nothing that changed in the last
`sweep_min_age_s` is touched, so no write under way is met.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

from dandyroll.errors import Conflict, DandyrollError, NotFound
from dandyroll.keys import ORIGINALS, RENDITIONS
from dandyroll.local.objects import Entry
from dandyroll.local.retention import expire
from dandyroll.local.unfilled import settle_tickets
from dandyroll.local.upkeep import Upkeep, adopt_original, is_ownerless, original_state

log = logging.getLogger("dandyroll.sweep")


@dataclass(frozen=True)
class Swept:
    """What one sweep did, and how many `unreadable` originals without a row it left."""

    adopted: int = 0
    unreadable: int = 0
    jobs: int = 0
    temporary_files: int = 0
    renditions: int = 0
    claims: int = 0
    tickets: int = 0
    expired_images: int = 0
    expired_originals: int = 0


@dataclass
class Sweep:
    """Sweeps a home each time it is called; `stop` is asked between any two files."""

    upkeep: Upkeep
    stop: Callable[[], bool] = lambda: False
    reported: set[str] = field(default_factory=set)  # unreadable originals, told once each

    def __call__(self) -> Swept:
        """Sweep once. Raises `StoreUnavailable` where disk or catalogue fail."""
        upkeep, now = self.upkeep, time.time()
        min_age_s = upkeep.home.settings.sweep_min_age_s
        adopted = renditions = left = 0
        unreadable: set[str] = set()
        for entry in self._unchanged_since(ORIGINALS, now - min_age_s):
            state = original_state(upkeep, entry.key)
            if state == "deleted":  # a crash came between its row's word and the deed
                upkeep.objects.delete(entry.key)
                left += 1
            elif state == "misnamed" or entry.key in self.reported:
                unreadable.add(entry.key)
            elif state == "ownerless":
                outcome = self._adopt(entry)
                adopted += outcome == "adopted"
                unreadable |= {entry.key} if outcome == "unreadable" else set()
        for entry in self._unchanged_since(RENDITIONS, now - min_age_s):
            if is_ownerless(upkeep, entry.key):
                upkeep.objects.delete(entry.key)
                renditions += 1
        images, originals = expire(upkeep, now, self.stop)
        tickets = settle_tickets(upkeep, now, self.stop)
        self._report(unreadable)
        return Swept(
            adopted=adopted,
            unreadable=len(unreadable),
            jobs=upkeep.queue.take_up(),
            temporary_files=upkeep.objects.sweep(min_age_s),
            renditions=renditions,
            claims=upkeep.catalogue.expire_claims(int(now)),
            tickets=tickets,
            expired_images=images,
            expired_originals=originals + left,
        )

    def _unchanged_since(self, prefix: str, moment: float) -> Iterator[Entry]:
        for entry in self.upkeep.objects.entries(prefix):
            if self.stop():
                return
            if entry.changed_at <= moment:
                yield entry

    def _adopt(self, entry: Entry) -> Literal["adopted", "later", "unreadable"]:
        try:
            row = adopt_original(self.upkeep, entry)
        except (NotFound, Conflict):  # deleted or taken meanwhile
            return "later"
        except DandyrollError as error:
            return "later" if error.retryable else "unreadable"
        log.info("Adopted %s", row.image_id, extra={"image_id": row.image_id})
        return "adopted"

    def _report(self, unreadable: set[str]) -> None:
        for key in sorted(unreadable - self.reported):
            log.warning("Left alone: %s is no image with a usable name", key, extra={"key": key})
        self.reported &= unreadable
        self.reported |= unreadable


class Sweeper:
    """The thread that sweeps at once and then every `sweep_every_s`, until `close`."""

    def __init__(self, upkeep: Upkeep) -> None:
        self._stopping = threading.Event()
        self._every_s = upkeep.home.settings.sweep_every_s
        self._sweep = Sweep(upkeep, self._stopping.is_set)
        self._thread = threading.Thread(target=self._run, name="dandyroll-sweep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                done = {name: count for name, count in asdict(self._sweep()).items() if count}
                if done:
                    log.info("Swept: %s", done, extra={"swept": done})
            except Exception:
                log.exception("The sweep broke off; the next one begins anew")
            self._stopping.wait(self._every_s)

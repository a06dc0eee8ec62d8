"""Copy every image of a home: several at once, patiently, and with a word on each."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from dandyroll.copying.bring import Copying, Refused, bring, standing_row
from dandyroll.copying.room import Room
from dandyroll.errors import DandyrollError, NotFound, StoreUnavailable, UnknownPolicy
from dandyroll.models import SETTLED, Page, Row
from dandyroll.policy import find_policy
from dandyroll.ports import Home

State = Literal["copied", "present", "missing", "unsettled", "awaiting", "deleted", "failed"]
"""Of an image of the source: it was not all at the target and now is; it was; it is not and we
only looked; its pipeline is still at work; it is a ticket whose bytes have not come; it was deleted
meanwhile; it could not be copied, or the target has another under its name."""

_AT_ONCE = 8
_HELD_BYTES = 200_000_000  # of objects on their way; each is in memory about twice
_PAGE = 500
_WAITS_S = (1, 2, 4, 8)
_DELETED_WITHIN_S = (0, 1)
_IN_A_ROW = 10  # images that a store does not answer for, before we think that it is away

T = TypeVar("T")


class Interrupted(Exception):  # nobody sees it: whoever would have awaited the outcome has gone
    """Ctrl-C came while a thread was waiting to try again."""


@dataclass(frozen=True)
class Outcome:
    """What became of one image. `code` and `message` say why, where something is to be said."""

    image_id: str
    state: State
    code: str = ""
    message: str = ""


def copy_images(
    source: Home, target: Home, most_bytes: int, *, write: bool = True
) -> Iterator[Outcome]:
    """Copy every image the source has now, several at once; outcomes come as they are done.

    Every object of an image that is `copied` or `present` has been compared. Raises
    `StoreUnavailable` where a home no longer answers; what was begun is finished.
    """
    copying = Copying(source, target, most_bytes, write, Room(_HELD_BYTES))
    unanswered = 0
    interrupted = threading.Event()
    rows = _rows(source, interrupted)
    for outcome in _several_at_once(
        lambda row: _copy(copying, row, interrupted), rows, interrupted
    ):
        yield outcome
        unanswered = unanswered + 1 if outcome.code == StoreUnavailable.code else 0
        if unanswered == _IN_A_ROW:
            raise StoreUnavailable(f"{outcome.message} So for {_IN_A_ROW} images in a row.")


def _several_at_once(
    work: Callable[[Row], Outcome], rows: Iterator[Row], interrupted: threading.Event
) -> Iterator[Outcome]:
    under_way: set[Future[Outcome]] = set()
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            for row in rows:
                under_way.add(threads.submit(work, row))
                if len(under_way) == 2 * _AT_ONCE:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in as_completed(under_way))
        except BaseException:  # Ctrl-C: what is begun is finished, the rest is not begun
            interrupted.set()  # and what only waits to try again ends here
            threads.shutdown(cancel_futures=True)
            raise


def _rows(home: Home, interrupted: threading.Event) -> Iterator[Row]:
    cursor: str | None = ""
    while cursor is not None:
        page: Page = _patiently(
            partial(home.catalogue.list, None, None, _PAGE, cursor), interrupted
        )
        yield from page.rows
        cursor = page.cursor


def _patiently(work: Callable[[], T], interrupted: threading.Event) -> T:
    for wait_s in _WAITS_S:
        try:
            return work()
        except StoreUnavailable:
            _wait(wait_s, interrupted)
    return work()


def _wait(wait_s: float, interrupted: threading.Event) -> None:
    if interrupted.wait(wait_s):
        raise Interrupted


def _copy(copying: Copying, row: Row, interrupted: threading.Event) -> Outcome:
    image_id = row.image_id
    if row.status == "awaiting":
        return Outcome(image_id, "awaiting", message="A ticket whose bytes have not come.")
    if row.status not in SETTLED:
        return Outcome(image_id, "unsettled", message=f"Still {row.status} at the source.")
    try:
        # Policies ship with the code, in both homes: this release knows those of each. Once they
        # are data, they are to be copied here, before the first row that names them.
        find_policy(row.policy)
        return Outcome(image_id, _patiently(lambda: bring(copying, row), interrupted))
    except UnknownPolicy as error:
        return Outcome(image_id, "failed", error.code, f"At the target: {error.message}")
    except NotFound as error:
        return _lost(copying.source, row, error, interrupted)
    except (Refused, DandyrollError) as error:
        return Outcome(image_id, "failed", error.code, error.message)


def _lost(source: Home, row: Row, error: NotFound, interrupted: threading.Event) -> Outcome:
    """The source lacks what the row names: the image was deleted meanwhile, or is damaged."""
    for wait_s in _DELETED_WITHIN_S:  # of an image being deleted, the objects go before the row
        _wait(wait_s, interrupted)
        if standing_row(source, row.image_id) is None:
            return Outcome(row.image_id, "deleted")
    return Outcome(row.image_id, "failed", "source_lost", f"At the source: {error.message}")

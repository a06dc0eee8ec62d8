"""What a home must provide. Each docstring is a promise that `tests/contract/` holds it to.

All of it is synchronous: SQLite, S3 and Lambda are, and a server lends its threads.
Any method may raise `StoreUnavailable` when what is behind it does not answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dandyroll.events import Event
from dandyroll.fingerprint import Fingerprint
from dandyroll.formats import CONTENT_TYPES
from dandyroll.models import Changes, Claim, Header, Page, Row, SignedUrl, Status, Ticket
from dandyroll.policy import Policy
from dandyroll.settings import Settings


class ObjectStore(Protocol):
    """Bytes by key. Durable: what `put` returned from survives a crash of the machine."""

    def put(self, key: str, data: bytes, content_type: str, *, if_absent: bool = False) -> None:
        """Store the whole object or nothing; a reader meanwhile gets the old one or the new.

        With `if_absent`, raise `Conflict` where an object of that key exists; of several
        writers at once, one wins. `content_type` is for those who read the store directly;
        our own readers take the type from the row.
        """

    def get(self, key: str) -> bytes:
        """The object's bytes; `NotFound` if there is none."""

    def fingerprint(self, key: str) -> Fingerprint:
        """What tells the object's bytes from others, without giving them; `NotFound` if none."""

    def delete(self, key: str) -> None:
        """Remove the object. Deleting one that is not there succeeds."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that start with `prefix`, in the order of their characters."""


class Catalogue(Protocol):
    """The table `image-metadata` and the claims on idempotency keys.

    Reads see every write that was answered before them.
    """

    def create(self, row: Row) -> None:
        """Write a new row; `Conflict` if its id is taken.

        A row that is still `awaiting` the same known bytes (`sha256`) from the same owner is
        not a conflict but the same upload, tried again: it stays as it is. Nor is one that is
        `awaiting` and equal to this: that is this very write, done before.
        """

    def move_in(self, row: Row) -> None:
        """Write the row of an image that another home has settled; `Conflict` if its id is taken.

        It is no upload: no quota refuses it (though its bytes count from now on), no event tells
        of it, no job begins.
        """

    def get(self, image_id: str) -> Row:
        """The row; `NotFound` if there is none."""

    def advance(self, image_id: str, status: Status, changes: Changes) -> Row:
        """Move the row on to `status` and write the changes, in one step that others see whole.

        Where the row's status is of the same rank or higher, nothing is written. Returns the
        row as it stands afterwards; raises `NotFound` if there is none.

        A move to `processed` or `failed` leaves its event in the home's outbox in the same step,
        so that no settled row lacks one; the home's notifiers publish it, at least once.
        """

    def restart(self, image_id: str) -> Row:
        """Take a `failed` row back to `uploaded`, its error gone; another stays as it is.

        Returns the row as it stands afterwards; raises `NotFound` if there is none.
        """

    def list(self, owner: str | None, status: Status | None, limit: int, cursor: str) -> Page:
        """The owner's rows (all owners' for None) in that status (any for None), newest first.

        `cursor` is "" for the first page. A walk over all pages meets every row once that
        was there when it began, whatever is added meanwhile. Raises `BadParameter` for a
        cursor that no page has given.
        """

    def delete(self, image_id: str) -> None:
        """Remove the row, and at home its job. Deleting one that is not there succeeds."""

    def claim(self, claim: Claim, now: int) -> Claim:
        """Take an idempotency key, or learn who has it.

        Returns the given claim where the key was free, had expired by `now`, or was held with
        the same fingerprint under a lease that ended at or before `now`; in this last case the
        earlier claim's `image_id` and `expires_at` are kept. Otherwise returns the claim that
        stands, unchanged. Of several callers at once, one gets it.
        """

    def release(self, claim: Claim) -> None:
        """End the lease of a claim one holds, so that another request need not wait for it.

        Does nothing where another has it.
        """


class Notifier(Protocol):
    """One way for events to leave a home: a webhook, mail, a topic."""

    def publish(self, events: Sequence[Event]) -> str:
        """Tell the other side of these events; what it answered, for the log.

        When this returns, the other side has them all. Raises `NotDelivered` where that is not
        known; they will be published again, under the same ids, so that one may arrive twice.
        Takes a bounded time, and never follows an answer to another place.
        """


class Delivery(Protocol):
    """A network before a home that keeps copies of renditions near to who asks for them.

    A copy is kept under the object's key and version (`Row.rendition_version`), so that no copy
    of one version is ever served for another.
    """

    def url(self, key: str, version: str) -> SignedUrl | None:
        """A URL to fetch the object by; None where the network does not serve it, or cannot now:
        then the home does. Never raises."""

    def forget(self, key: str, version: str) -> None:
        """Have all copies dropped, whether or not there are any.

        When this returns, the network has been told, and it drops them in its own time: at the
        latest when the URLs given so far expire, none can be fetched. Raises `StoreUnavailable`
        where that is not known.
        """


@dataclass(frozen=True)
class Home:
    """A place the system runs, as everything above it sees it.

    `probe` reads an image's header where a hostile file can do no harm; it raises what
    `imaging.header.read_header` raises. `accept` makes an upload durable: when it returns, the
    original and its row are stored and the pipeline will run; it raises `Conflict` when the
    id is taken, and in a home with quotas `QuotaExceeded` or `StorageQuotaExceeded`; then
    nothing was stored. The row it returns has the status `uploaded`. `retry` has a failed image
    processed anew, and returns its row as it stands. `ticket` gives leave to put the bytes of a
    row that is `awaiting` them, its `size_bytes` long; when they have come, the pipeline starts
    as it does for any upload.
    `elsewhere` gives, for a key, a size in bytes and a version, a signed URL to fetch the object
    from where it is too big for this home to answer with, else None; it may raise `NotFound` where
    there is no such object. `delivery` is the network that renditions can be fetched from, in a
    home that has one before it. `bucket` and `s3_url` (of an image id) name where originals are, as
    rows tell it. `formats` are those that can be decoded here, as `formats.CONTENT_TYPES` names
    them.
    """

    objects: ObjectStore
    catalogue: Catalogue
    probe: Callable[[bytes], Header]
    accept: Callable[[Row, bytes], Row]
    retry: Callable[[Row], Row]
    ticket: Callable[[Row], Ticket]
    elsewhere: Callable[[str, int, str], str | None]
    health: Callable[[], dict[str, str | int]]
    bucket: str
    s3_url: Callable[[str], str]
    policy: Policy
    settings: Settings
    delivery: Delivery | None = None
    formats: Sequence[str] = tuple(CONTENT_TYPES)

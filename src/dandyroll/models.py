"""The shapes that travel: rows, jobs and what is known of a picture. Frozen; JSON in and out.

Rows hold strings, integers, booleans and maps of them, no floats: DynamoDB takes none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self

from dandyroll.ledger import add_ledgers

Status = Literal["awaiting", "uploaded", "resized", "failed", "processed"]

STATUSES: tuple[Status, ...] = ("awaiting", "uploaded", "resized", "failed", "processed")
"""In order of rank: a row's status only moves to the right. `processed` outranks `failed`, so
that where one of two deliveries of an event fails, the rendition that exists is what counts."""

SETTLED: tuple[Status, ...] = ("failed", "processed")


def rank(status: Status) -> int:
    return STATUSES.index(status)


@dataclass(frozen=True)
class Limits:
    """The most that one image may ask of a worker. Pixels are width times height, of animations
    times frames; `memory_bytes` is what a worker may use in all."""

    max_pixels: int = 50_000_000
    max_animation_pixels: int = 20_000_000
    memory_bytes: int = 2_000_000_000


@dataclass(frozen=True)
class Animation:
    """How long each frame is shown, in milliseconds, and how often all are: 0 is for ever."""

    delays_ms: tuple[int, ...]
    loop: int

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(tuple(value["delays_ms"]), value["loop"])


@dataclass(frozen=True)
class Credit:
    """Who made a picture and whose it is, as its file says it; empty where it does not."""

    creator: str = ""
    copyright: str = ""


NO_CREDIT = Credit()


@dataclass(frozen=True)
class Header:
    """What an image file's header says, before a pixel is decoded.

    `width` and `height` are in pixels, as stored: before any orientation tag is applied.
    `image_format` is Pillow's name (`JPEG`), `extension` has no dot. `frames` counts those of
    an animation, `pages` those of a file that may have several (TIFF).
    """

    image_format: str
    content_type: str
    extension: str
    width: int
    height: int
    frames: int | None = None
    pages: int | None = None


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, from the top left corner."""

    left: int
    top: int
    width: int
    height: int


def _box(value: Mapping[str, int] | None) -> Box | None:
    return Box(**value) if value else None


@dataclass(frozen=True)
class Rendition:
    """A finished derived image; `mark` is where the watermark is, `etag` is unquoted."""

    key: str
    width: int
    height: int
    size_bytes: int
    content_type: str
    etag: str
    mark: Box | None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        attributes = {name: part for name, part in value.items() if name in known}
        return cls(**{**attributes, "mark": _box(value.get("mark"))})


@dataclass(frozen=True)
class Row:
    """One image's row in the table `image-metadata`.

    `image_id` is written `image-id`. What describes the original is None until it is known:
    `width`, `height` and `sha256` come with its bytes, `has_transparency` and `mode` need
    pixels and come with the first stage. `created_date` is ISO 8601 in UTC, `uploaded_at` the
    same moment in epoch seconds. `policy` is the id the image is processed under.
    `declared_type` is there where the upload's `Content-Type` was not the type that its bytes
    are of, `frames` where it is an animation, `pages` and `page` where its format has pages: how
    many there are, and the one that is shown. `error` holds `code` and `message`.
    `original_deleted_at`, in epoch seconds, is there once the original was deleted before its
    row. `ledger` counts what the image cost: milliseconds, bytes, and the trace id of its
    request.
    """

    image_id: str
    bucket: str
    content_type: str
    created_date: str
    image_format: str
    s3_url: str
    size_bytes: int
    uploaded_at: int
    owner: str
    policy: str
    status: Status
    height: int | None = None
    width: int | None = None
    sha256: str | None = None
    has_transparency: bool | None = None
    mode: str | None = None
    declared_type: str | None = None
    frames: int | None = None
    pages: int | None = None
    page: int | None = None
    processed: Rendition | None = None
    error: Mapping[str, str] | None = None
    original_deleted_at: int | None = None
    ledger: Mapping[str, int | str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The row as clients and both catalogues know it: absent attributes are left out."""
        attributes = {name: value for name, value in asdict(self).items() if value is not None}
        return {"image-id": attributes.pop("image_id"), **attributes}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        attributes = {**value, "image_id": value["image-id"]}
        if value.get("processed"):
            attributes["processed"] = Rendition.from_json(value["processed"])
        known = {f.name for f in fields(cls)}
        return cls(**{name: part for name, part in attributes.items() if name in known})

    def advanced(self, status: Status, changes: "Changes") -> Self | None:
        """This row moved on to `status`, or None where that would be a step back or no step.

        The one statement of the rule that both catalogues keep.
        """
        if rank(status) <= rank(self.status):
            return None
        given = {f.name: getattr(changes, f.name) for f in fields(changes)}
        given["ledger"] = {**self.ledger, **changes.ledger}
        new = {name: value for name, value in given.items() if value is not None}
        moved = replace(self, status=status, **new)
        return replace(moved, error=None) if status == "processed" else moved

    def rendition_version(self) -> str:
        """What tells this row's rendition from any other there was or will be of the image: the
        policy it was made under, and the beginning of its own hash. Empty where there is none."""
        return f"{self.policy}.{self.processed.etag[:16]}" if self.processed else ""

    def awaits(self, row: "Row") -> bool:
        """Whether this row, which stands, is `awaiting` what `row` is to be created for.

        The same known bytes of the same owner, tried again; or the very same row, which a
        ticket's is that was written while the answer got lost.
        """
        same_bytes = (self.owner, self.sha256) == (row.owner, row.sha256)
        is_tried_again = (same_bytes and row.sha256 is not None) or self == row
        return self.status == "awaiting" and is_tried_again

    def restarted(self) -> Self | None:
        """This row as it was before it failed, to be tried again; None if it has not failed.

        The one step back there is, and only a person takes it.
        """
        if self.status != "failed":
            return None
        return replace(self, status="uploaded", error=None)


@dataclass(frozen=True)
class Page:
    """Rows, newest first, and the opaque cursor of the next page; None after the last."""

    rows: tuple[Row, ...]
    cursor: str | None


@dataclass(frozen=True)
class Ticket:
    """Leave to put one object's bytes at `url`, with exactly these headers, until `expires_at`."""

    url: str
    method: str
    headers: Mapping[str, str]
    expires_at: int


@dataclass(frozen=True)
class SignedUrl:
    """A URL by which anyone may GET one object until `expires_at`, in epoch seconds."""

    url: str
    expires_at: int


@dataclass(frozen=True)
class Changes:
    """What a move to another status writes beside it; None leaves an attribute as it is.

    `ledger` entries are added to the row's.
    """

    content_type: str | None = None
    image_format: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    frames: int | None = None
    pages: int | None = None
    page: int | None = None
    has_transparency: bool | None = None
    mode: str | None = None
    processed: Rendition | None = None
    error: Mapping[str, str] | None = None
    ledger: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One image's way through the pipeline: plain JSON, so that it can pass between machines.

    `key` is the object the next stage reads: the original, later a hand-over. `changes` gathers
    what the stages so far have found out, `mark` where the watermark is once it is there.
    `image_format` is the original's, from the first stage on that of the rendition. What a
    hand-over's pixels do not say travels beside them: the `animation` and the `credit`.
    `trace_id` is that of the upload.
    """

    image_id: str
    policy: str
    key: str
    image_format: str
    mark: Box | None = None
    animation: Animation | None = None
    credit: Credit = NO_CREDIT
    changes: Changes = field(default_factory=Changes)
    trace_id: str = ""

    def noting(self, **entries: int) -> Self:
        """This job with entries added to its ledger, numbers to what is there."""
        ledger = add_ledgers(self.changes.ledger, entries)
        return replace(self, changes=replace(self.changes, ledger=ledger))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        changes = dict(value["changes"])
        if changes.get("processed"):
            changes["processed"] = Rendition.from_json(changes["processed"])
        given = {**value, "mark": _box(value["mark"]), "changes": Changes(**changes)}
        animation = given.get("animation")
        given["animation"] = Animation.from_json(animation) if animation else None
        given["credit"] = Credit(**given.get("credit") or {})
        return cls(**given)


@dataclass(frozen=True)
class Claim:
    """An `Idempotency-Key` in use. Times in epoch seconds.

    `holder` is a random word of the request that holds the claim, `fingerprint` the SHA-256 of
    the body. Until `lease_until` the request that holds the
    claim is thought to be alive; after that a retry may take it over and finish the upload
    under the same `image_id`. At `expires_at` the key is free again.
    """

    owner: str
    key: str
    holder: str
    fingerprint: str
    image_id: str
    lease_until: int
    expires_at: int

    def against(self, standing: "Claim | None", now: int) -> "Claim":
        """The claim that holds the key from now on: `standing` itself where it goes on.

        The one statement of the rule that both catalogues keep.
        """
        if standing is None or standing.expires_at <= now:
            return self
        if standing.fingerprint != self.fingerprint or standing.lease_until > now:
            return standing
        return replace(self, image_id=standing.image_id, expires_at=standing.expires_at)


def isoformat(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: `2025-09-29T22:29:31.045Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

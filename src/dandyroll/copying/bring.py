"""One image brought from one home to the other, and compared.

    rendition  ->  row  ->  original  ->  compared: what the target has with what the source has

In this order there is never an original without its row, which a sweep would adopt or an event
would have processed anew; and never a row `processed` without its rendition. Nothing at the target
is ever overwritten. The image is brought to be there whatever of it is there already: so a copy
that broke off is simply made again, and one that is complete writes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from dandyroll.api.delete_image import remove_image
from dandyroll.copying.room import Room
from dandyroll.errors import Conflict, NotFound, OriginalMissing, StoreUnavailable
from dandyroll.fingerprint import Fingerprint
from dandyroll.keys import ORIGINALS, original_key
from dandyroll.models import Row
from dandyroll.ports import Home

Brought = Literal["copied", "present", "missing", "deleted"]

_EACH_ITS_OWN = {"bucket", "s3_url", "original_deleted_at"}
"""Attributes by which a row says where it is, and what its home's retention did."""


class Refused(Exception):  # ends here as an outcome, so it is not in errors.py
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Copying:
    """From where to where; `most_bytes` is the largest object that is taken into memory.

    Without `write` nothing is written: the two homes are only compared.
    """

    source: Home
    target: Home
    most_bytes: int
    write: bool
    room: Room


@dataclass(frozen=True)
class _Wanted:
    """An object that a row names. `sha256` is None where the row does not know it."""

    key: str
    size_bytes: int
    sha256: str | None
    content_type: str


def bring(copying: Copying, row: Row) -> Brought:
    """Bring one image to be at the target, and compare it.

    Raises `Refused` where that cannot be, `NotFound` where the source has not got what the row
    names, `StoreUnavailable`.
    """
    source, target = copying.source, copying.target
    ours = replace(row, bucket=target.bucket, s3_url=target.s3_url(row.image_id))
    standing = standing_row(target, row.image_id)
    if standing is not None:
        _compare_rows(ours, standing)
    wanted = list(_wanted(source, row, standing))
    missing = [each for each in wanted if not _is_there(copying, each)]
    if standing is not None and not missing:
        return "present"
    for each in missing:
        _check_size(copying, each.key, each.size_bytes)
    if not copying.write:
        for each in missing:
            source.objects.fingerprint(each.key)  # or it is lost: the copying would end so too
        return "missing"
    sent = _send(copying, missing, ours, is_new=standing is None)
    _check(copying, ours, sent)
    if standing_row(source, row.image_id) is None:
        remove_image(target, row.image_id)  # what was deleted stays deleted
        return "deleted"
    return "copied"


def _wanted(source: Home, row: Row, standing: Row | None) -> Iterator[_Wanted]:
    """The objects that the row names; the original where neither home has let go of it by now."""
    rows = (row, standing) if standing else (row,)
    if all(each.original_deleted_at is None for each in rows):
        key = original_key(row.image_id)
        was_lost = row.error is not None and row.error["code"] == OriginalMissing.code
        if row.sha256 and not was_lost:
            yield _Wanted(key, row.size_bytes, row.sha256, row.content_type)
        else:  # of a failed image, which may have been refused
            with suppress(NotFound):
                size_bytes = source.objects.fingerprint(key).size_bytes
                yield _Wanted(key, size_bytes, None, row.content_type)
    if row.processed is not None:
        made = row.processed
        yield _Wanted(made.key, made.size_bytes, made.etag, made.content_type)


def _is_original(wanted: _Wanted) -> bool:
    return wanted.key.startswith(ORIGINALS)


def _is_there(copying: Copying, wanted: _Wanted) -> bool:
    """Whether the target has the very object. Raises `Refused` where it has another."""
    key = wanted.key
    try:
        theirs = copying.target.objects.fingerprint(key)
    except NotFound:
        return False
    ours = copying.source.objects.fingerprint(key)
    if not ours.matches(theirs):  # only the bytes tell whose fault it is, if it is one
        ours = _fetch(copying, copying.source, key, ours.size_bytes)
        theirs = _fetch(copying, copying.target, key, theirs.size_bytes)
    _check_source(wanted, replace(ours, sha256=ours.sha256 or theirs.sha256))
    if not ours.matches(theirs):
        raise Refused("conflict", f"The target has other bytes at {key}; they stay as they are.")
    return True


def _send(
    copying: Copying, missing: Sequence[_Wanted], row: Row, *, is_new: bool
) -> dict[str, Fingerprint]:
    """Write what the target lacks; by key, what was sent. Nothing of an image that is damaged."""
    target = copying.target
    with copying.room.hold(sum(each.size_bytes for each in missing)):
        found = {each: copying.source.objects.get(each.key) for each in missing}
        sent = {each.key: Fingerprint.of(data) for each, data in found.items()}
        for each in missing:
            _check_source(each, sent[each.key])
        for each, data in found.items():
            if not _is_original(each):
                _put(target, each, data)
        if is_new:
            _move_in(target, row)
        for each, data in found.items():
            if _is_original(each):
                _put(target, each, data)
    return sent


def _put(target: Home, wanted: _Wanted, data: bytes) -> None:
    with suppress(Conflict):  # another was quicker: with the same, or it is found out afterwards
        target.objects.put(wanted.key, data, wanted.content_type, if_absent=True)


def _fetch(copying: Copying, home: Home, key: str, size_bytes: int) -> Fingerprint:
    _check_size(copying, key, size_bytes)
    with copying.room.hold(size_bytes):
        return Fingerprint.of(home.objects.get(key))


def _check_size(copying: Copying, key: str, size_bytes: int) -> None:
    if size_bytes > copying.most_bytes:
        message = f"{key} has {size_bytes} bytes, more than DANDYROLL_MAX_UPLOAD_BYTES"
        raise Refused("too_large", f"{message} ({copying.most_bytes}): raise that and copy again.")


def _check_source(wanted: _Wanted, found: Fingerprint) -> None:
    """Raise `Refused` where the source's bytes are not those that its row knows."""
    expected = (wanted.size_bytes, wanted.sha256 or found.sha256)
    if (found.size_bytes, found.sha256) != expected:
        message = f"At the source: {wanted.key} is not what its row says it is."
        raise Refused("source_changed", message)


def _move_in(target: Home, row: Row) -> None:
    try:
        target.catalogue.move_in(row)
    except Conflict:  # another copying was quicker
        _compare_rows(row, target.catalogue.get(row.image_id))


def _check(copying: Copying, row: Row, sent: Mapping[str, Fingerprint]) -> None:
    """Compare what the target now has with what was sent."""
    target = copying.target
    try:
        _compare_rows(row, target.catalogue.get(row.image_id))
        for key, fingerprint in sent.items():
            found = target.objects.fingerprint(key)
            same = fingerprint.matches(found)
            if same is None:
                same = fingerprint.matches(_fetch(copying, target, key, found.size_bytes))
            if not same:
                raise Refused("conflict", f"The target has other bytes at {key} than were sent.")
    except NotFound as error:  # swept or deleted under our hands: another try
        raise StoreUnavailable(f"At the target: {error.message}", retry_after_s=1) from error


def _compare_rows(ours: Row, theirs: Row) -> None:
    """Raise `Refused` where they differ in more than what names their home."""
    one, two = ours.to_json(), theirs.to_json()
    names = sorted(
        name for name in (one.keys() | two.keys()) - _EACH_ITS_OWN if one.get(name) != two.get(name)
    )
    if names:
        message = f"The target has another row of that name: it differs in {', '.join(names)}."
        raise Refused("conflict", message)


def standing_row(home: Home, image_id: str) -> Row | None:
    try:
        return home.catalogue.get(image_id)
    except NotFound:
        return None

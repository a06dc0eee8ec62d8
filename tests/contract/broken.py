"""Adapters broken on purpose, to see that the suite notices: `pytest --broken NAME`."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from dandyroll.errors import Conflict, NotFound
from dandyroll.fingerprint import Fingerprint
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.objects import FileObjectStore
from dandyroll.models import Changes, Claim, Row, Status

_put, _delete = FileObjectStore.put, FileObjectStore.delete
_create, _claim = SqliteCatalogue.create, SqliteCatalogue.claim
_move_in = SqliteCatalogue.move_in


def _put_in_place(
    self: FileObjectStore, key: str, data: bytes, content_type: str, *, if_absent: bool = False
) -> None:
    if not self._path(key).exists() or if_absent:
        return _put(self, key, data, content_type, if_absent=if_absent)
    self._path(key).write_bytes(data)  # empty for a moment, then part of it


def _put_regardless(
    self: FileObjectStore, key: str, data: bytes, content_type: str, *, if_absent: bool = False
) -> None:
    _put(self, key, data, content_type)


def _delete_once(self: FileObjectStore, key: str) -> None:
    if not self._path(key).exists():
        raise NotFound(key)
    _delete(self, key)


def _list_as_found(self: FileObjectStore, prefix: str) -> Iterator[str]:
    paths = (path for path in self._root.rglob("*") if path.is_file())
    yield from (path.relative_to(self._root).as_posix() for path in paths)


def _fingerprint_by_size(self: FileObjectStore, key: str) -> Fingerprint:
    return Fingerprint(len(self.get(key)), "0" * 32, "0" * 64)


def _move_in_regardless(self: SqliteCatalogue, row: Row) -> None:
    self.delete(row.image_id)
    _move_in(self, row)


def _create_regardless(self: SqliteCatalogue, row: Row) -> None:
    try:
        _create(self, row)
    except Conflict:
        sql = 'UPDATE "image-metadata" SET row = json_set(row, \'$.owner\', ?) WHERE "image-id" = ?'
        self._database.write(lambda connection: connection.execute(sql, (row.owner, row.image_id)))


def _advance_always(self: SqliteCatalogue, image_id: str, status: Status, changes: Changes) -> Row:
    given = {name: value for name, value in vars(changes).items() if value is not None}
    row = replace(self.get(image_id), status=status, **given)
    sql = 'UPDATE "image-metadata" SET status = ?, row = ? WHERE "image-id" = ?'
    bindings = (status, json.dumps(row.to_json()), image_id)
    self._database.write(lambda connection: connection.execute(sql, bindings))
    return row


def _claim_always(self: SqliteCatalogue, claim: Claim, now: int) -> Claim:
    _claim(self, claim, now)
    return claim


BROKEN: dict[str, tuple[type, str, Callable[..., object]]] = {
    "a put in place": (FileObjectStore, "put", _put_in_place),
    "a create that replaces": (FileObjectStore, "put", _put_regardless),
    "a delete that minds": (FileObjectStore, "delete", _delete_once),
    "a list in any order": (FileObjectStore, "list", _list_as_found),
    "a fingerprint by size": (FileObjectStore, "fingerprint", _fingerprint_by_size),
    "a row that moves in over another": (SqliteCatalogue, "move_in", _move_in_regardless),
    "a row taken twice": (SqliteCatalogue, "create", _create_regardless),
    "a status that goes back": (SqliteCatalogue, "advance", _advance_always),
    "a claim for everyone": (SqliteCatalogue, "claim", _claim_always),
}


def break_adapter(name: str) -> None:
    adapter, method, broken = BROKEN[name]
    pytest.MonkeyPatch().setattr(adapter, method, broken)

"""The API keys of the local home: hashes in the database, the gateway's list."""

import time

from dandyroll.api_keys import (
    NAME_DIGITS,
    StoredKey,
    hash_api_key,
    in_order,
    mint_api_key,
    one_meant,
)
from dandyroll.intake import ADOPTED_OWNER
from dandyroll.local.database import Database


def create_api_key(database: Database, owner: str, scopes: frozenset[str], expires_at: int) -> str:
    """Mint a key and store its hash; the value, which is not to be had again.

    Raises `ValueError` as `mint_api_key` does, and for the owner of what was adopted.
    """
    if owner == ADOPTED_OWNER:
        raise ValueError(f"Expected an owner other than {owner!r}, whose files nobody uploaded.")
    value = mint_api_key(owner, scopes, expires_at)
    listed = ",".join(in_order(scopes))
    columns = (hash_api_key(value), owner, listed, expires_at, int(time.time()), None)
    sql = "INSERT INTO api_key VALUES (?, ?, ?, ?, ?, ?)"
    database.write(lambda connection: connection.execute(sql, columns))
    return value


def list_api_keys(database: Database) -> list[StoredKey]:
    """All keys, newest first."""
    found = database.read().execute("SELECT * FROM api_key ORDER BY created_at DESC, hash")
    return [
        StoredKey(
            key_hash[:NAME_DIGITS], owner, tuple(scopes.split(",")), expires_at, created, revoked
        )
        for key_hash, owner, scopes, expires_at, created, revoked in found
    ]


def revoke_api_key(database: Database, name_or_value: str) -> StoredKey:
    """Refuse the key from now on; `NotFound` unless exactly one key is meant."""
    meant = one_meant(list_api_keys(database), name_or_value)
    sql = "UPDATE api_key SET revoked_at = coalesce(revoked_at, ?) WHERE hash LIKE ? || '%'"
    bindings = (int(time.time()), meant.name)
    database.write(lambda connection: connection.execute(sql, bindings))
    return meant


def is_valid_api_key(database: Database, value: str) -> bool:
    """Whether the value is a key of ours that was not revoked. Its expiry stands in the key."""
    sql = "SELECT revoked_at IS NULL FROM api_key WHERE hash = ?"
    found = database.read().execute(sql, (hash_api_key(value),)).get
    return bool(found)

"""A key as API Gateway lists it: what we write beside it, and how we know it again.

The description is read back, since one call changes it together with the rest; the tags are for
AWS's own tools.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dandyroll.api_keys import StoredKey, in_order, name_of_api_key, parse_api_key
from dandyroll.models import isoformat

_DESCRIPTION = re.compile(
    r"Dandyroll key ([0-9a-f]{12}) of ([a-z0-9]+) for ([a-z,]+) until (\S+Z)(?:, revoked (\S+Z))?"
)


def gateway_name(stack: str, key: StoredKey) -> str:
    """Of all keys of the account there is one of that name."""
    return f"{stack}-{key.owner}-{key.name}"


def tags(stack: str, key: StoredKey) -> dict[str, str]:
    return {
        "dandyroll:stack": stack,
        "dandyroll:owner": key.owner,
        "dandyroll:scopes": " ".join(key.scopes),  # a tag takes no comma
        "dandyroll:expires": _date(key.expires_at),
    }


def description(key: StoredKey) -> str:
    scopes = ",".join(key.scopes)
    told = f"Dandyroll key {key.name} of {key.owner} for {scopes} until {_date(key.expires_at)}"
    return told if key.revoked_at is None else f"{told}, revoked {_date(key.revoked_at)}"


def from_description(found: Mapping[str, Any]) -> StoredKey | None:
    """The key as `GetApiKeys` tells it; None where the description is not ours."""
    match = _DESCRIPTION.fullmatch(found.get("description", ""))
    if match is None:
        return None
    name, owner, scopes, expires, revoked = match.groups()
    return StoredKey(
        name,
        owner,
        tuple(scopes.split(",")),
        _moment(expires),
        int(found["createdDate"].timestamp()),
        None if revoked is None else _moment(revoked),
        enabled=found["enabled"],
    )


def from_value(found: Mapping[str, Any]) -> StoredKey | None:
    """The same by its value, which it must have; None where that was not minted by us."""
    facts = parse_api_key(found["value"])
    if facts is None:
        return None
    created_at, enabled = int(found["createdDate"].timestamp()), found["enabled"]
    name, scopes = name_of_api_key(found["value"]), in_order(facts.scopes)
    return StoredKey(name, facts.owner, scopes, facts.expires_at, created_at, None, enabled)


def _date(moment: float) -> str:
    return isoformat(datetime.fromtimestamp(moment, UTC))


def _moment(date: str) -> int:
    return int(datetime.fromisoformat(date).timestamp())

"""The API keys of the AWS home: the gateway's, under the stack's usage plan.

API Gateway keeps the values themselves, not hashes. We need them for nothing, and read them only
of keys whose description is not ours.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from dandyroll.api_keys import (
    StoredKey,
    in_order,
    mint_api_key,
    name_of_api_key,
    one_meant,
)
from dandyroll.aws import key_entry
from dandyroll.aws.key_expiry import KeyExpiry
from dandyroll.aws.stack import CloudError, Stack, operators_errors
from dandyroll.intake import ADOPTED_OWNER


@dataclass(frozen=True)
class CreatedKey:
    """A new key. `value` is what its owner sends, and is to be shown once."""

    value: str = field(repr=False)
    name: str


def create_api_key(stack: Stack, owner: str, scopes: frozenset[str], expires_at: int) -> CreatedKey:
    """Mint a key, give it to the gateway under the stack's plan, and have it disabled in time.

    It is made disabled and enabled last, so that what breaks off leaves no key that opens
    anything; what was begun is taken away again. Raises `CloudError`, which says what may be
    left where that failed too, and `ValueError` as `mint_api_key` does, and for the owner of
    what was adopted.
    """
    if owner == ADOPTED_OWNER:
        raise ValueError(f"Expected an owner other than {owner!r}, whose files nobody uploaded.")
    value = mint_api_key(owner, scopes, expires_at)
    name = name_of_api_key(value)
    key = StoredKey(name, owner, in_order(scopes), expires_at, int(time.time()), None)
    plan, expiry = stack.output("UsagePlanId"), KeyExpiry.of(stack)
    gateway = stack.cloud.client("apigateway")
    key_id = ""
    try:
        with operators_errors():
            key_id = _make_disabled(gateway, stack, key, value)
            _put_under(gateway, stack, plan, key_id)
            expiry.schedule(name, key_id, expires_at)
            _change(gateway, key_id, enabled="true")
    except BaseException as error:
        left = [] if _refused(error) and not key_id else _undo(gateway, stack, expiry, key, key_id)
        if left:
            raise CloudError(
                f"{str(error) or 'Interrupted.'} Perhaps left behind, though it opens nothing: "
                + "; ".join(left)
            ) from error
        raise
    return CreatedKey(value, name)


def list_api_keys(stack: Stack) -> list[StoredKey]:
    """All keys under the stack's plan that were minted by us, newest first."""
    return list(api_keys_by_id(stack).values())


def api_keys_by_id(stack: Stack) -> dict[str, StoredKey]:
    """What `list_api_keys` lists, by the ids that API Gateway knows keys by."""
    gateway = stack.cloud.client("apigateway")
    with operators_errors():
        found = _keys(gateway, stack)
        return dict(sorted(found, key=lambda each: (-each[1].created_at, each[1].name)))


def revoke_api_key(stack: Stack, name_or_value: str) -> StoredKey:
    """Have the gateway refuse the key, which stays listed; `NotFound` unless one key is meant."""
    gateway, expiry, key_id, key = _meant(stack, name_or_value)
    with operators_errors():
        revoked = replace(key, enabled=False, revoked_at=key.revoked_at or int(time.time()))
        _change(gateway, key_id, enabled="false", description=key_entry.description(revoked))
        expiry.cancel(key.name)
    return revoked


def delete_api_key(stack: Stack, name_or_value: str) -> StoredKey:
    """Take the key out of the gateway, its usage with it; `NotFound` unless one key is meant."""
    gateway, expiry, key_id, key = _meant(stack, name_or_value)
    with operators_errors():
        _delete(gateway, key_id)
        expiry.cancel(key.name)
    return key


def _meant(stack: Stack, name_or_value: str) -> tuple[Any, KeyExpiry, str, StoredKey]:
    """The one key that is meant and its id, and what to change it by."""
    keys = api_keys_by_id(stack)
    key = one_meant(keys.values(), name_or_value)
    key_id = next(found for found, other in keys.items() if other is key)
    return stack.cloud.client("apigateway"), KeyExpiry.of(stack), key_id, key


def _make_disabled(gateway: Any, stack: Stack, key: StoredKey, value: str) -> str:
    """The gateway's id of the new key."""
    name = key_entry.gateway_name(stack.name, key)
    try:
        made = gateway.create_api_key(
            name=name,
            description=key_entry.description(key),
            value=value,
            enabled=False,
            tags=key_entry.tags(stack.name, key),
        )
    except gateway.exceptions.ConflictException:
        # Of 160 random bits there is no other: our own first try, whose answer was lost.
        made = next(iter(_named(gateway, name)), None)
        if made is None:
            raise
    except gateway.exceptions.LimitExceededException as error:
        raise CloudError(
            f"{error} An account may have 10,000 keys a region, those that have expired or were "
            "revoked among them: dandyroll keys revoke --aws --delete NAME"
        ) from error
    return str(made["id"])


def _put_under(gateway: Any, stack: Stack, plan: str, key_id: str) -> None:
    try:
        gateway.create_usage_plan_key(usagePlanId=plan, keyId=key_id, keyType="API_KEY")
    except gateway.exceptions.ConflictException:
        gateway.get_usage_plan_key(usagePlanId=plan, keyId=key_id)  # it is there by our first try
    except gateway.exceptions.NotFoundException as error:
        raise CloudError(_no_plan(stack)) from error


def _refused(error: BaseException) -> bool:
    """Whether API Gateway said no. Where it said nothing, it may have done it."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    status = (
        cause.response["ResponseMetadata"]["HTTPStatusCode"]
        if isinstance(cause, ClientError)
        else 0
    )
    return 400 <= status < 500


def _undo(gateway: Any, stack: Stack, expiry: KeyExpiry, key: StoredKey, key_id: str) -> list[str]:
    """Take away what there is of a key; what could not be taken away, and why."""
    name, left = key_entry.gateway_name(stack.name, key), []
    try:
        with operators_errors():
            # Without its id, the answer that had it was lost.
            for found in [key_id] if key_id else [other["id"] for other in _named(gateway, name)]:
                _delete(gateway, found)
    except CloudError as error:
        left.append(f"API Gateway's key {name} ({error})")
    try:
        with operators_errors():
            expiry.cancel(key.name)
    except CloudError as error:
        left.append(f"the schedule {expiry.group}/{key.name} ({error})")
    return left


def _keys(gateway: Any, stack: Stack) -> Iterator[tuple[str, StoredKey]]:
    """The keys under the plan that are ours, with the gateway's ids."""
    plan = stack.output("UsagePlanId")
    try:
        under_plan = {key["id"] for key in _pages(gateway, "get_usage_plan_keys", usagePlanId=plan)}
    except gateway.exceptions.NotFoundException as error:
        raise CloudError(_no_plan(stack)) from error
    unread = set()
    for found in _pages(gateway, "get_api_keys", includeValues=False):
        if found["id"] in under_plan:
            key = key_entry.from_description(found)
            if key is None:
                unread.add(found["id"])
            else:
                yield found["id"], key
    if unread:  # put there by hand, or described anew: what they open, only the value tells
        for found in _pages(gateway, "get_api_keys", includeValues=True):
            key = key_entry.from_value(found) if found["id"] in unread else None
            if key is not None:
                yield found["id"], key


def _named(gateway: Any, name: str) -> list[dict[str, Any]]:
    found = _pages(gateway, "get_api_keys", nameQuery=name)  # whose names begin so
    return [key for key in found if key["name"] == name]


def _pages(gateway: Any, operation: str, **given: Any) -> Iterator[dict[str, Any]]:
    pages = gateway.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": 500})
    for page in pages:
        yield from page.get("items", ())


def _change(gateway: Any, key_id: str, **values: str) -> None:
    changes = [{"op": "replace", "path": f"/{name}", "value": v} for name, v in values.items()]
    gateway.update_api_key(apiKey=key_id, patchOperations=changes)


def _delete(gateway: Any, key_id: str) -> None:
    with suppress(gateway.exceptions.NotFoundException):
        gateway.delete_api_key(apiKey=key_id)


def _no_plan(stack: Stack) -> str:
    plan = stack.output("UsagePlanId")
    return f"The stack {stack.name} has no usage plan {plan} any more: was it deleted by hand?"

"""The stack as an operator of its keys has it, and what there is in AWS of one owner's keys."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dandyroll.api_keys import StoredKey
from dandyroll.aws.api_keys import CreatedKey, create_api_key, list_api_keys
from dandyroll.aws.stack import Stack
from tests.aws.emulator import STACK
from tests.aws.faulty_cloud import Fault, FaultyCloud

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

READ_WRITE = frozenset({"read", "write"})
IN_2100 = 4102444800


@dataclass(frozen=True)
class Bench:
    """`owner` is one that no other test has."""

    aws: "EmulatedHome"
    stack: Stack
    owner: str

    def faulty(self, **faults: Iterator[Fault]) -> Stack:
        return replace(self.stack, cloud=FaultyCloud.on(self.stack.cloud, faults))

    def create(self, stack: Stack | None = None, lifetime_s: int = 3600) -> CreatedKey:
        expires_at = int(time.time()) + lifetime_s
        return create_api_key(stack or self.stack, self.owner, READ_WRITE, expires_at)

    def opens(self, value: str) -> bool:
        status, _, _ = self.aws.request("GET", "/images?limit=1", {"x-api-key": value})
        assert status in (200, 403)
        return status == 200

    def listed(self) -> list[StoredKey]:
        return [key for key in list_api_keys(self.stack) if key.owner == self.owner]

    def states(self) -> list[str]:
        return [key.state(time.time()) for key in self.listed()]

    def entries(self) -> list[dict[str, Any]]:
        """What the gateway has, under the plan or not."""
        found = self.aws.emulator.client("apigateway").get_api_keys(
            nameQuery=f"{STACK}-{self.owner}-", includeValues=True
        )
        return list(found["items"])

    def schedules(self) -> list[str]:
        """Of all owners."""
        pages = self.aws.emulator.client("scheduler").list_schedules(GroupName=f"{STACK}-keys")
        return [schedule["Name"] for schedule in pages["Schedules"]]

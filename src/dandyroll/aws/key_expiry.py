"""What switches a key off once it has expired: a schedule of its own, that runs once.

It is housekeeping. A key says itself when it expires, and from that second on every function
refuses it; by the schedule the gateway then turns it away by itself.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from dandyroll.aws.stack import Stack


@dataclass(frozen=True)
class KeyExpiry:
    """The schedules of a stack's keys. Each has its key's name; all raise what botocore raises."""

    scheduler: Any
    group: str
    role: str

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """`CloudError` where the stack is of a release that had none."""
        group, role = stack.output("KeyScheduleGroup"), stack.output("KeyExpiryRoleArn")
        return cls(stack.cloud.client("scheduler"), group, role)

    def schedule(self, name: str, key_id: str, expires_at: int) -> None:
        """Have the gateway's key of that id disabled at `expires_at`, in epoch seconds."""
        at = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        partition = self.role.split(":")[1]  # `aws`, but in China and GovCloud
        # Named as in AWS's SDK for Java, which the scheduler calls with it: in capitals.
        change = {"Op": "replace", "Path": "/enabled", "Value": "false"}
        target = {
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:apigateway:updateApiKey",
            "RoleArn": self.role,
            "Input": json.dumps({"ApiKey": key_id, "PatchOperations": [change]}),
        }
        # Named after 160 random bits, one of that name is our own first try, its answer lost.
        with suppress(self.scheduler.exceptions.ConflictException):
            self.scheduler.create_schedule(
                GroupName=self.group,
                Name=name,
                ScheduleExpression=f"at({at})",
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target=target,
            )

    def cancel(self, name: str) -> None:
        """Take the key's schedule away, if it is still there."""
        with suppress(self.scheduler.exceptions.ResourceNotFoundException):
            self.scheduler.delete_schedule(GroupName=self.group, Name=name)

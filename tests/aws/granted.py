"""What the emulator asks of a role that AWS does not, given for the time of a test."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.aws.emulator import STACK

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome


@contextmanager
def granted(aws: "EmulatedHome", function: str, *actions: str) -> Iterator[None]:
    """Meanwhile the function may do these on `*`.

    Of a stream's records and of mail the emulator does not tell the ARNs that AWS goes by, and so
    looks for leave on `*`. `test_template.py` asserts the leave that the role has.
    """
    iam, functions = aws.emulator.client("iam"), aws.emulator.client("lambda")
    arn = functions.get_function_configuration(FunctionName=f"{STACK}-{function}")["Role"]
    given = {"RoleName": arn.rpartition("/")[2], "PolicyName": "granted"}
    allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    iam.put_role_policy(**given, PolicyDocument=json.dumps(policy))
    try:
        yield
    finally:
        iam.delete_role_policy(**given)

"""The Step Functions state machine, made from `pipeline.STAGES` and `pipeline.RETRY`.

    python -m dandyroll.aws.statemachine --write | --check

One Task state a stage, named as the stage; a stage added to `STAGES` appears by itself, and
asks the template for `${ItsName}`, the ARN of its function.
"""

import json
import sys
from pathlib import Path
from typing import Any

from dandyroll.aws.failures import CRASHES, TIMEOUTS
from dandyroll.aws.workflow import ImageSettled
from dandyroll.errors import NotFound
from dandyroll.pipeline import RETRY, STAGES, Stage, stage_name

PATH = Path("deploy/statemachine.asl.json")

_MACHINE_TIMEOUT_S = 300  # as long as an express execution may last; then the sweep takes over
_STAGE_TIMEOUT_S = 90  # above the functions' own 60 s, which then says it better
_RECORD_TIMEOUT_S = 60

# What every state is told of the event that began it all.
_EVENT = "$states.context.Execution.Input"
_CAUSE = "$states.input.error.Cause"
_TOLD = {"key": f"{{% {_EVENT}.detail.object.key %}}", "trace_id": f"{{% {_EVENT}.id %}}"}

# The platform's own trouble says nothing about the image, and passes, though what is behind it may
# be a queue of other images: so no number of tries makes it the image's failure. Within the
# machine's time there are not as many; the sweep goes on from there.
_PLATFORM_RETRY = {
    "ErrorEquals": [
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.TooManyRequestsException",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
    ],
    "IntervalSeconds": 1,
    "MaxAttempts": 60,
    "BackoffRate": 2.0,
    "MaxDelaySeconds": 60,
    "JitterStrategy": "FULL",
}


def definition() -> dict[str, Any]:
    """The machine in the Amazon States Language, with JSONata and `${...}` for the ARNs."""
    names = [stage_name(stage) for stage in STAGES]
    return {
        "Comment": "Generated from dandyroll.pipeline: " + " -> ".join(names),
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": _MACHINE_TIMEOUT_S,
        "StartAt": names[0],
        "States": {
            **{stage_name(stage): _stage_state(stage) for stage in STAGES},
            "record-failure": _record_failure_state(),
            "image-failed": {
                "Type": "Fail",
                "Error": "{% $states.input.error.Error %}",
                "Cause": f"{{% $exists({_CAUSE}) ? {_CAUSE} : '' %}}",  # a time limit has none
            },
            "image-gone": {"Type": "Succeed", "Comment": "Deleted before it was done."},
            "image-settled": {"Type": "Succeed", "Comment": "Done before: nothing to do."},
        },
    }


def _stage_state(stage: Stage) -> dict[str, Any]:
    position = STAGES.index(stage)
    handed_on = {} if position == 0 else {"job": "{% $states.input %}"}
    is_last = position == len(STAGES) - 1
    then = {"End": True} if is_last else {"Next": stage_name(STAGES[position + 1])}
    told = {**_TOLD, "error": "{% $states.errorOutput %}"}
    size = f"{{% {_EVENT}.detail.object.size %}}"
    settled = {"ErrorEquals": [ImageSettled.__name__], "Next": "image-settled"}
    return {
        "Type": "Task",
        "Resource": _function(stage_name(stage)),
        "Arguments": {**_TOLD, **handed_on},
        "TimeoutSeconds": _STAGE_TIMEOUT_S,
        "Retry": [_our_retry(), _PLATFORM_RETRY],
        "Catch": [
            *([settled] if position == 0 else []),
            {"ErrorEquals": [NotFound.__name__], "Next": "image-gone"},
            {
                "ErrorEquals": ["States.ALL"],
                "Output": {**told, "size_bytes": size},
                "Next": "record-failure",
            },
        ],
        **then,
    }


def _record_failure_state() -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": _function("record-failure"),
        "TimeoutSeconds": _RECORD_TIMEOUT_S,
        "Arguments": "{% $states.input %}",
        "Output": "{% $states.input %}",
        # The last word on an image: whatever goes wrong here is worth another try.
        "Retry": [_PLATFORM_RETRY, {**_our_retry(), "ErrorEquals": ["States.ALL"]}],
        "Next": "image-failed",
    }


def _our_retry() -> dict[str, Any]:
    """`RETRY` in the machine's words, with the platform's names for the same errors."""
    return {
        "ErrorEquals": [*(error.__name__ for error in RETRY.errors), *TIMEOUTS, *CRASHES],
        "IntervalSeconds": RETRY.first_wait_s,
        "MaxAttempts": RETRY.tries - 1,  # people count tries, the machine counts retries
        "BackoffRate": float(RETRY.factor),
        "MaxDelaySeconds": RETRY.max_wait_s,
        "JitterStrategy": "FULL",
    }


def _function(state: str) -> str:
    return "${" + "".join(part.capitalize() for part in state.split("-")) + "}"


def text() -> str:
    return json.dumps(definition(), indent=2) + "\n"


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        PATH.write_text(text(), "utf-8")
    elif arguments != ["--check"]:
        print("usage: python -m dandyroll.aws.statemachine --write | --check", file=sys.stderr)
        return 2
    elif not PATH.exists() or PATH.read_text("utf-8") != text():
        print(f"{PATH} is out of date: python -m dandyroll.aws.statemachine --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

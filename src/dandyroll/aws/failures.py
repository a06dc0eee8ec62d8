"""What a failed execution means: from the error a state caught to the reason in the row."""

import json
from collections.abc import Mapping

from dandyroll import errors
from dandyroll.errors import DandyrollError, Internal, StageTimeout, WorkerCrashed

TIMEOUTS = ("Sandbox.Timedout", "States.Timeout")
CRASHES = ("Runtime.ExitError", "Runtime.OutOfMemory", "Lambda.Unknown")
"""Lambda's and Step Functions' words for what at home are `StageTimeout` and `WorkerCrashed`."""

_PLATFORM = ("Lambda.", "Runtime.", "Sandbox.", "States.")


def error_of(caught: Mapping[str, str]) -> DandyrollError:
    """The error that a state caught, as `{"Error": name, "Cause": text}`, as one of ours.

    Only the message of an error of ours is passed on: what the platform or a bug says is for
    the log.
    """
    name, cause = caught.get("Error", ""), caught.get("Cause", "")
    error = errors.named(name)
    if error is not None:
        return error(_message(cause))
    if name in TIMEOUTS or "Task timed out" in cause:
        return StageTimeout("Expected the image to be done in time; it was not.")
    if name.startswith(_PLATFORM):
        return WorkerCrashed("Expected the function to finish; it broke off.")
    return Internal("Something went wrong on our side.")


def _message(cause: str) -> str:
    """Lambda's cause is JSON with `errorMessage`, `errorType` and a stack trace."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return "No more is known."

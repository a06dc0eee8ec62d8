"""The functions: what they load, what a failure means, what an event is made of."""

import json
import subprocess
import sys

import pytest

from dandyroll import errors
from dandyroll.aws.failures import error_of


def caught(name: str, message: str = "It was so.") -> dict[str, str]:
    cause = {"errorType": name, "errorMessage": message, "stackTrace": ["File /var/task/x.py"]}
    return {"Error": name, "Cause": json.dumps(cause)}


@pytest.mark.parametrize("error", errors.ALL)
def test_an_error_of_ours_comes_back_as_it_was(error: type[errors.DandyrollError]) -> None:
    found = error_of(caught(error.__name__))
    assert type(found) is error
    assert found.message == "It was so."


@pytest.mark.parametrize(
    ("name", "cause", "expected"),
    [
        ("Sandbox.Timedout", "Task timed out after 60.00 seconds", errors.StageTimeout),
        ("States.Timeout", "", errors.StageTimeout),
        ("Lambda.Unknown", "2025 x Task timed out after 60.00 seconds", errors.StageTimeout),
        ("Lambda.Unknown", "The cause could not be determined", errors.WorkerCrashed),
        ("Runtime.ExitError", "RequestId: x Error: signal: killed", errors.WorkerCrashed),
        ("Runtime.OutOfMemory", "", errors.WorkerCrashed),
        ("Lambda.TooManyRequestsException", "Rate exceeded", errors.WorkerCrashed),
        ("States.DataLimitExceeded", "", errors.WorkerCrashed),
        ("KeyError", '{"errorType": "KeyError", "errorMessage": "\'x\'"}', errors.Internal),
        ("", "", errors.Internal),
    ],
)
def test_the_platforms_words_are_put_into_ours(
    name: str, cause: str, expected: type[errors.DandyrollError]
) -> None:
    found = error_of({"Error": name, "Cause": cause})
    assert type(found) is expected


@pytest.mark.parametrize("cause", ["", "no JSON", "[]", "{}", "null"])
def test_a_cause_that_says_nothing_is_no_trouble(cause: str) -> None:
    assert type(error_of({"Error": "CorruptImage", "Cause": cause})) is errors.CorruptImage


def test_only_messages_of_ours_reach_the_row() -> None:
    for name in ("KeyError", "Runtime.ExitError", "Lambda.Unknown"):
        assert "secret" not in error_of(caught(name, "secret")).message


@pytest.mark.parametrize(
    ("module", "loads_pictures"),
    [
        ("upload_image", False),
        ("create_upload", False),
        ("get_image_metadata", False),
        ("get_processed_image", False),
        ("list_images", False),
        ("delete_image", False),
        ("retry_image", False),
        ("get_health", False),
        ("get_reference", False),
        ("new_size_image", True),
        ("add_watermark", True),
    ],
)
def test_only_functions_that_see_pixels_load_libvips(module: str, loads_pictures: bool) -> None:
    script = (
        f"import sys, dandyroll.aws.functions.{module}\n"
        "print('pyvips' in sys.modules, 'botocore' in sys.modules, 'boto3' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(loads_pictures), "False", "False"]

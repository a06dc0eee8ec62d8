"""The state machine says what `pipeline.py` says, and says it right."""

import importlib.util
from typing import Any

import pytest

from dandyroll import errors, pipeline
from dandyroll.aws import failures, statemachine
from dandyroll.imaging.picture import Picture
from dandyroll.pipeline import RETRY, STAGES, stage_name
from dandyroll.policy import Policy
from deploy.build import ROOT


def tasks() -> dict[str, Any]:
    states = statemachine.definition()["States"]
    return {stage_name(stage): states[stage_name(stage)] for stage in STAGES}


def test_the_order_is_that_of_the_stages() -> None:
    definition = statemachine.definition()
    order, state = [], definition["StartAt"]
    while state is not None:
        order.append(state)
        state = definition["States"][state].get("Next")
    assert order == [stage_name(stage) for stage in STAGES] == ["update-size", "add-watermark"]
    assert definition["States"][order[-1]]["End"] is True


def test_a_new_stage_gets_its_state_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def blur_faces(picture: Picture, policy: Policy) -> Picture:
        return picture

    monkeypatch.setattr(statemachine, "STAGES", (STAGES[0], blur_faces, *STAGES[1:]))
    states = statemachine.definition()["States"]
    assert states["update-size"]["Next"] == "blur-faces"
    assert states["blur-faces"]["Next"] == "add-watermark"
    assert states["blur-faces"]["Resource"] == "${BlurFaces}"
    assert states["blur-faces"]["Arguments"]["job"] == "{% $states.input %}"


def test_tries_become_retries() -> None:
    for task in tasks().values():
        ours = task["Retry"][0]
        assert ours["MaxAttempts"] == RETRY.tries - 1
        waits = [ours["IntervalSeconds"] * ours["BackoffRate"] ** n for n in range(5)]
        capped = [min(wait, ours["MaxDelaySeconds"]) for wait in waits]
        assert capped == [RETRY.wait_s(n) for n in range(1, 6)]
        assert ours["JitterStrategy"] == "FULL"


def test_every_retryable_error_is_retried_by_its_name() -> None:
    retryable = {error.__name__ for error in errors.ALL if error.retryable}
    for task in tasks().values():
        assert retryable <= set(task["Retry"][0]["ErrorEquals"])
        named = {name for retry in task["Retry"] for name in retry["ErrorEquals"]}
        final = {error.__name__ for error in errors.ALL if not error.retryable}
        assert not named & final


def test_the_platforms_trouble_is_waited_out() -> None:
    for task in tasks().values():
        patient = task["Retry"][1]
        assert {
            "Lambda.ClientExecutionTimeoutException",
            "Lambda.TooManyRequestsException",
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
        } == set(patient["ErrorEquals"])
        assert patient["MaxAttempts"] > task["Retry"][0]["MaxAttempts"]
        assert {"Sandbox.Timedout", "States.Timeout"} == set(failures.TIMEOUTS)
        assert {*failures.TIMEOUTS, *failures.CRASHES} <= set(task["Retry"][0]["ErrorEquals"])


def test_what_fails_for_good_is_recorded_and_fails_the_execution() -> None:
    states = statemachine.definition()["States"]
    for task in tasks().values():
        *_, gone, failed = task["Catch"]
        assert (gone["ErrorEquals"], gone["Next"]) == (["NotFound"], "image-gone")
        assert (failed["ErrorEquals"], failed["Next"]) == (["States.ALL"], "record-failure")
    assert states["image-gone"]["Type"] == "Succeed"
    assert states["record-failure"]["Next"] == "image-failed"
    assert states["record-failure"]["Retry"][-1]["ErrorEquals"] == ["States.ALL"]
    assert states["image-failed"]["Type"] == "Fail"


def test_the_first_state_alone_ends_on_a_settled_image() -> None:
    first, *others = tasks().values()
    settled = {"ErrorEquals": ["ImageSettled"], "Next": "image-settled"}
    assert first["Catch"][0] == settled
    assert all(settled not in task["Catch"] for task in others)
    assert statemachine.definition()["States"]["image-settled"]["Type"] == "Succeed"
    named = {name for task in tasks().values() for r in task["Retry"] for name in r["ErrorEquals"]}
    assert "ImageSettled" not in named


def test_every_task_ends_in_time() -> None:
    for state in statemachine.definition()["States"].values():
        if state["Type"] == "Task":
            assert 60 <= state["TimeoutSeconds"] <= 120


def test_statelint_finds_nothing() -> None:
    path = ROOT / "scripts" / "lint_statemachine.py"
    spec = importlib.util.spec_from_file_location("lint_statemachine", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main() == 0


def test_the_written_file_is_in_step() -> None:
    written = (ROOT / statemachine.PATH).read_text("utf-8")
    assert written == statemachine.text(), "python -m dandyroll.aws.statemachine --write"


def test_the_pipeline_names_each_stage_once() -> None:
    names = [stage_name(stage) for stage in pipeline.STAGES]
    assert len(set(names)) == len(names)

"""Our own metrics, as the log carries them."""

import json

import pytest

from dandyroll.aws.metrics import METRICS, emit


def test_a_line_says_which_of_its_members_are_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    emit("shop", OldestUnprocessedSeconds=12, UploadsStartedAgain=0)
    line = json.loads(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Dandyroll"
    assert directive["Dimensions"] == [["Stack"]]
    names = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert names == {"OldestUnprocessedSeconds": "Seconds", "UploadsStartedAgain": "Count"}
    assert {name: line[name] for name in ("Stack", *names)} == {
        "Stack": "shop",
        "OldestUnprocessedSeconds": 12,
        "UploadsStartedAgain": 0,
    }
    assert isinstance(line["_aws"]["Timestamp"], int)


def test_there_are_at_most_ten_series() -> None:
    assert len(METRICS) <= 10


def test_what_is_no_metric_is_refused() -> None:
    with pytest.raises(KeyError):
        emit("shop", Typo=1)

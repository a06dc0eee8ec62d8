"""The write path, broken off at each of its named points."""

from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import get_args

import pytest

from dandyroll.local.faults import Point, arm
from dandyroll.settings import BadSetting
from tests import pictures
from tests.contract.client import Client
from tests.contract.invariant import assert_invariant
from tests.local.served_home import ServedHome

KEY = {"Idempotency_Key": "the-same-upload"}


@pytest.fixture
def served(tmp_path: Path) -> ServedHome:
    return ServedHome(tmp_path, workers=1)


@pytest.mark.parametrize("point", get_args(Point))
def test_a_kill_at_any_point_loses_nothing(served: ServedHome, point: str) -> None:
    try:
        client, body = Client.new(served), pictures.jpeg()
        served.start(fault=f"{point}=kill")
        with suppress(OSError, HTTPException):  # it dies under us
            client.send("POST", "/upload", body, **KEY)
        assert served.server is not None
        assert served.server.wait(timeout=20) == -9, "the fault point was not reached"
        served.start()
        answer = client.send("POST", "/upload", body, **KEY)
        assert answer.status == 201, answer.body
        assert assert_invariant(client, answer.json["image_id"], body) == "processed"
        assert _files(served, "uploaded") == [answer.json["image_id"]]
        assert _files(served, ".tmp") == []
    finally:
        served.close()


@pytest.mark.parametrize("point", ["object-written", "object-renamed", "commit-begun"])
def test_a_failed_write_accepts_nothing(served: ServedHome, point: str) -> None:
    try:
        client = Client.new(served)
        served.start(fault=f"{point}=fail")
        answer = client.send("POST", "/upload", pictures.jpeg())
        assert answer.problem == (503, "store_unavailable")
        assert _files(served, ".tmp") == []
        served.restart()
        assert client.processed(client.upload(pictures.jpeg())).status == 200
    finally:
        served.close()


def test_a_result_that_cannot_be_written_is_tried_again(served: ServedHome) -> None:
    try:
        client, body = Client.new(served), pictures.jpeg()
        served.start(fault="job-finished=fail")
        image_id = client.upload(body)
        assert client.row(image_id)["status"] == "uploaded"
        served.restart()
        assert assert_invariant(client, image_id, body) == "processed"
    finally:
        served.close()


@pytest.mark.parametrize("setting", ["nowhere=kill", "job-taken=maybe", "job-taken"])
def test_an_unknown_fault_is_refused(setting: str) -> None:
    with pytest.raises(BadSetting, match="DANDYROLL_FAULT"):
        arm(setting)
    arm("")


def _files(served: ServedHome, folder: str) -> list[str]:
    root = served.data_dir / "objects" / folder
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


def test_an_unreadable_job_fails_its_image_and_no_other(served: ServedHome) -> None:
    try:
        client = Client.new(served)
        served.start(fault="job-taken=kill")
        with suppress(OSError, HTTPException):
            client.upload(pictures.jpeg())
        assert served.server is not None
        served.server.wait(timeout=20)
        sql = "UPDATE job SET job = json_set(job, '$.unheard_of', 1) RETURNING image_id"
        found = served.database.write(lambda connection: connection.execute(sql).get)
        served.start()
        assert client.processed(str(found)).problem == (409, "image_failed")
        assert client.row(str(found))["error"]["code"] == "internal"
        assert client.processed(client.upload(pictures.jpeg(seed=2))).status == 200
        client.send("POST", f"/images/{found}/retry")
        assert client.processed(str(found)).status == 200
    finally:
        served.close()

"""The functions' memory: parameters of the template, and what pictures may take of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from dandyroll.aws.home import stage_memory_bytes, this_home
from dandyroll.imaging.budget import affordable_pixels
from dandyroll.models import Limits
from dandyroll.settings import Settings
from tests.aws.templates import template

TEMPLATE = template()
PARAMETERS: Mapping[str, Any] = TEMPLATE["Parameters"]
FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
SMALL = {"GetHealth", "GetReference"}  # they look at nothing


def test_functions_that_meet_pictures_have_the_stages_memory() -> None:
    meeting = {name for name, about in FUNCTIONS.items()
              if about["MemorySize"] == {"Ref": "StageMemoryMiB"}}  # fmt: skip
    assert meeting == {"UploadImage", "NewSizeImage", "AddWatermark"}
    for name, about in FUNCTIONS.items():
        routes = [e for e in about.get("Events", {}).values() if e["Type"] == "Api"]
        if routes and name not in SMALL | meeting:
            assert about["MemorySize"] == {"Ref": "ApiMemoryMiB"}, name


def test_every_function_knows_what_the_stages_can_do() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["DANDYROLL_STAGE_MEMORY_MIB"] == {"Ref": "StageMemoryMiB"}
    assert "DANDYROLL_WORKER_MEMORY_BYTES" not in variables


def test_what_a_picture_may_take_follows_from_the_functions_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DANDYROLL_BUCKET", "bucket")
    monkeypatch.setenv("DANDYROLL_TABLE", "table")
    monkeypatch.setenv("DANDYROLL_STAGE_MEMORY_MIB", "1024")
    open_anew = this_home.__wrapped__
    assert open_anew().settings.limits.memory_bytes == 1024 * 2**20 * 4 // 5
    monkeypatch.delenv("DANDYROLL_STAGE_MEMORY_MIB")
    assert open_anew().settings.limits.memory_bytes == Settings().worker_memory_bytes


def test_the_default_takes_all_but_the_hungriest_at_their_full_size() -> None:
    memory_bytes = stage_memory_bytes(PARAMETERS["StageMemoryMiB"]["Default"])
    for kind in ("JPEG", "progressive JPEG", "AVIF"):
        assert affordable_pixels(kind, 20_000_000, memory_bytes) >= Limits().max_pixels


def test_the_least_takes_a_phones_picture() -> None:
    memory_bytes = stage_memory_bytes(PARAMETERS["StageMemoryMiB"]["MinValue"])
    for kind in ("JPEG", "progressive JPEG", "8-bit PNG", "WebP", "AVIF"):
        assert affordable_pixels(kind, 20_000_000, memory_bytes) >= 12_000_000


@pytest.mark.parametrize("name", ["ApiMemoryMiB", "StageMemoryMiB"])
def test_memory_is_bounded_as_lambda_bounds_it(name: str) -> None:
    about = PARAMETERS[name]
    assert (about["Type"], about["MaxValue"]) == ("Number", 10_240)
    assert 128 <= about["MinValue"] <= about["Default"] <= 1769  # above, a second CPU lies idle

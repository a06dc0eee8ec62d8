"""`new-size-image`: the state `update-size`, the first after an object was created."""

from typing import Any

from dandyroll.aws.home import this_home
from dandyroll.aws.workflow import begin
from dandyroll.stages.update_size import update_size


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return begin(this_home(), event, update_size)

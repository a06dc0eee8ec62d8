"""`add-watermark`: the state of that name."""

from typing import Any

from dandyroll.aws.home import this_home
from dandyroll.aws.workflow import go_on
from dandyroll.stages.add_watermark import add_watermark


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    return go_on(this_home(), event, add_watermark)

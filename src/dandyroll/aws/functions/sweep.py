"""`sweep`: what the schedule calls every few minutes."""

import logging
import time
from dataclasses import asdict
from typing import Any

from dandyroll.aws.home import open_upkeep
from dandyroll.aws.metrics import emit
from dandyroll.aws.sweep import sweep
from dandyroll.errors import StoreUnavailable
from dandyroll.settings import Settings

log = logging.getLogger("dandyroll.sweep")


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """What was done, in numbers. `event` says nothing. Raises `StoreUnavailable`."""
    settings = Settings.from_env()
    swept = sweep(open_upkeep(settings), int(time.time()))
    # Hours in which nothing is written of a series are not paid for, so no zeros but the one that
    # says that there was a sweep.
    again = {"UploadsStartedAgain": swept.started_again} if swept.started_again else {}
    emit(settings.stack, OldestUnprocessedSeconds=swept.oldest_s, **again)
    log.info("swept", extra=asdict(swept))
    if swept.stuck:
        raise StoreUnavailable(f"The pipeline did not start {swept.stuck} images.")
    return asdict(swept)

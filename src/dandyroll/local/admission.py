"""Who comes in: what API Gateway's usage plans do in the other home.

Rates first, then the key, then the rate of the key: a flood of invalid keys costs the whole
API's tokens and nothing else.
"""

import time
from dataclasses import dataclass

from dandyroll.api.access import FORBIDDEN
from dandyroll.api_keys import name_of_api_key
from dandyroll.errors import Forbidden, TooManyRequests
from dandyroll.local.api_keys import is_valid_api_key
from dandyroll.local.database import Database
from dandyroll.local.throttle import Rate, Throttle
from dandyroll.local.usage import Usage, UsageCounter
from dandyroll.settings import Settings

_NOT_REFUSED = (404, 409)  # not there, not ready: answers that clients ask for


@dataclass(frozen=True)
class Admission:
    """To be asked from one thread, the server's loop."""

    database: Database
    usage: UsageCounter
    throttle: Throttle

    def admit(self, key: str) -> str:
        """Let in a request with a valid key; its name. Raises `Forbidden`, `TooManyRequests`."""
        now_s = time.monotonic()
        self.throttle.check_api(now_s)
        if not is_valid_api_key(self.database, key):
            self.throttle.take(None, now_s)
            raise Forbidden(FORBIDDEN)
        name = name_of_api_key(key)
        try:
            self.throttle.take(name, now_s)
        except TooManyRequests:
            self.note(name, 429)
            raise
        return name

    def admit_anyone(self) -> None:
        """Let in a request that needs no key. Raises `TooManyRequests`."""
        self.throttle.take(None, time.monotonic())

    def note(self, name: str, status: int, uploaded_bytes: int | None = None) -> None:
        """Count an answered request of the key; `uploaded_bytes` where it was an upload."""
        accepted = status == 201 and uploaded_bytes is not None
        self.usage.add(
            name,
            Usage(
                requests=1,
                uploads=int(accepted),
                uploaded_bytes=uploaded_bytes or 0 if accepted else 0,
                refused=int(400 <= status < 500 and status not in _NOT_REFUSED),
                last_used_at=int(time.time()),
            ),
        )


def open_admission(database: Database, usage: UsageCounter, settings: Settings) -> Admission:
    throttle = Throttle(
        key_rate=Rate(settings.key_requests_per_s, settings.key_burst),
        api_rate=Rate(settings.api_requests_per_s, settings.api_burst),
        now_s=time.monotonic(),
    )
    return Admission(database, usage, throttle)

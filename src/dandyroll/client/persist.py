"""How a request is asked again: what is worth it, how long to wait, when to give up."""

import random
from dataclasses import dataclass

from dandyroll.client.problems import Problem, Unreachable, problem_of
from dandyroll.client.steps import Answer, Exchange, NoAnswer, Pause, Send

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0

_OVERLOADED = (429, 503)  # nothing was accepted, and we are asked to come back
_BROKEN_OFF = (408, 502, 504)  # the body or the answer was lost on its way


@dataclass(frozen=True)
class Patience:
    """`tries` bounds failures of the connection, `patience_s` the pauses of one request in all."""

    tries: int = 5
    patience_s: float = 60


def persist(send: Send, patience: Patience, leave: str = "") -> Exchange[Answer]:
    """The answer to a request that may be sent more than once: 2xx, or 303 with a `Location`.

    Waits as `Retry-After` says on 409, 429 and 503, and backs off with jitter where there is
    none and where the connection fails. A problem whose code is `leave` is raised at once.
    Raises `Problem`, `Unreachable`.
    """
    tries, waited_s = 0, 0.0
    while True:
        answer: Answer | NoAnswer = yield send
        tries += 1
        failure: Problem | Unreachable
        if isinstance(answer, NoAnswer):
            failure = Unreachable(f"{_place(send.url)} did not answer: {answer.reason}")
            pause_s = backed_off_s(tries) if tries < patience.tries else None
        elif answer.status < 300 or answer.status == 303:
            return answer
        else:
            failure = problem_of(answer.status, answer.headers, answer.body)
            pause_s = None if failure.code == leave else _pause_s(failure, tries, patience.tries)
        if pause_s is None or waited_s + pause_s > patience.patience_s:
            raise failure
        waited_s += pause_s
        yield Pause(pause_s)


def backed_off_s(tries: int) -> float:
    """The pause after so many tries: doubled each time, bounded, and never the same for two."""
    longest_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * float(2 ** min(tries - 1, 10)))
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, hides nothing


def _pause_s(problem: Problem, tries: int, most_tries: int) -> float | None:
    if problem.retry_after_s is not None and problem.status in (409, *_OVERLOADED):
        # Later than asked, by a bit of its own for each client: or all come back at once.
        return problem.retry_after_s + backed_off_s(1) / 2
    if problem.status in _OVERLOADED:
        return backed_off_s(tries)
    if problem.status in _BROKEN_OFF and tries < most_tries:
        return backed_off_s(tries)
    return None


def _place(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])  # no path, no query: a ticket's URL is a secret

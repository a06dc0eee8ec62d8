"""What an operator has tried again: events that could not be delivered, images that failed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dandyroll.api.retry_image import was_refused
from dandyroll.aws.executions import Executions, retry
from dandyroll.aws.stack import operators_errors
from dandyroll.aws.upkeep import Upkeep
from dandyroll.errors import DandyrollError, NotFound, StoreUnavailable, with_code
from dandyroll.keys import image_id_of
from dandyroll.models import Row

_HIDDEN_S = 120  # from others, while we start what a message asks for
_WAIT_S = 1  # a question that waits asks every one of the queue's servers
_PAGE = 500


@dataclass(frozen=True)
class Redriven:
    """One event or image: `what` it is, and the error where it could not be started."""

    what: str
    state: Literal["started", "failed"]
    error: str = ""


def redrive_events(queue: Any, url: str, bucket: str, executions: Executions) -> Iterator[Redriven]:
    """Start an execution with each event in the queue; a message goes once its own has started.

    `queue` is a client of SQS. An event that was started before, while its message stayed, is
    not started twice where executions have names. A message that holds no event of an original in
    the bucket stays in the queue, as does one whose execution could not be started. Raises
    `CloudError` where the queue does not answer.
    """
    while True:
        with operators_errors():
            answer = queue.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=_HIDDEN_S,
                WaitTimeSeconds=_WAIT_S,
            )
        if not answer.get("Messages"):
            return
        for message in answer["Messages"]:
            try:
                event = _event_of(message["Body"], bucket)
                executions.start_with(event, f"redrive {event['id']}")
            except (ValueError, StoreUnavailable) as error:
                yield Redriven(f"message {message['MessageId']}", "failed", _says(error))
                continue
            with operators_errors():
                queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield Redriven(image_id_of(event["detail"]["object"]["key"]), "started")


def messages_left(queue: Any, url: str) -> tuple[int, int]:
    """How many messages the queue holds, and how many of them are hidden: about, says SQS.

    Raises `CloudError`.
    """
    seen, hidden = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    with operators_errors():
        answer = queue.get_queue_attributes(QueueUrl=url, AttributeNames=[seen, hidden])
    found = {name: int(number) for name, number in answer["Attributes"].items()}
    return found[seen] + found[hidden], found[hidden]


def redrive_failed(upkeep: Upkeep, since: int) -> Iterator[Redriven]:
    """Have every image tried again that came since then and has failed by no fault of its bytes.

    The rule is that of `POST /images/{file-name}/retry`, for all owners, narrowed to errors of
    ours. `since` in epoch seconds.
    """
    for row in _failed(upkeep, since):
        fault = with_code(row.error["code"]) if row.error else None
        if was_refused(row) or (fault is not None and fault.status < 500):
            continue
        try:
            retry(upkeep.catalogue, upkeep.executions, row)
        except DandyrollError as error:  # deleted meanwhile, or nothing could be started
            if not isinstance(error, NotFound):
                yield Redriven(row.image_id, "failed", _says(error))
            continue
        yield Redriven(row.image_id, "started")


def _failed(upkeep: Upkeep, since: int) -> Iterator[Row]:
    cursor: str | None = ""
    while cursor is not None:
        page = upkeep.catalogue.list(None, "failed", _PAGE, cursor)
        for row in page.rows:
            if row.uploaded_at < since:  # newest first
                return
            yield row
        cursor = page.cursor


def _says(error: Exception) -> str:
    """With AWS's own words, where it has said something: an operator can act on them."""
    return f"{error} {error.__cause__}" if isinstance(error, StoreUnavailable) else str(error)


def _event_of(body: str, bucket: str) -> Mapping[str, Any]:
    """The event in a message; `ValueError` where it is none that the rule passes on."""
    expected = f"Expected an event of an object under uploaded/ in {bucket}"
    try:
        event = json.loads(body)
        key, where = event["detail"]["object"]["key"], event["detail"]["bucket"]["name"]
        image_id_of(key)
        if where != bucket or not isinstance(event["id"], str):
            raise ValueError(f"{expected}; got one of {where}.")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, NotFound) as error:
        raise ValueError(f"{expected}; got: {body[:200]}") from error
    found: dict[str, Any] = event
    return found

"""Each call a client has, as the exchange it comes to. Nothing here touches disk or network."""

import json
import math
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from dandyroll.client.persist import Patience, backed_off_s, persist
from dandyroll.client.problems import Problem
from dandyroll.client.source import Source, Uploadable, measure
from dandyroll.client.steps import Answer, Call, Exchange, Pause, Send
from dandyroll.models import Row

_MOST_WAIT_S = 20  # what a server lets one request wait, unless it is set lower
_PAGE = 100
_PUTS = 5

_URL = r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?"

JSON = "application/json"
IMAGE = "image/*"


@dataclass(frozen=True)
class Server:
    """Where the calls go, with which key, and with how much patience.

    Files over `max_direct_bytes` go by ticket. Raises `ValueError` for what cannot be a URL
    or a key.
    """

    url: str
    key: str = field(repr=False)
    max_direct_bytes: int
    patience: Patience

    def __post_init__(self) -> None:
        if not re.fullmatch(_URL, self.url):
            raise ValueError(f"Expected a URL such as http://127.0.0.1:8000; got {self.url!r}.")
        if not (self.key.isascii() and self.key.isalnum()):
            raise ValueError("Expected an API key: letters and digits only.")

    def send(self, method: str, path: str, **headers: str) -> Send:
        """A request with the key; header names are given with `_` for `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return Send(method, self.url.rstrip("/") + path, {"x-api-key": self.key, **named})


def upload(
    server: Server, what: Uploadable | Source, content_type: str | None, key: str | None
) -> Exchange[str]:
    source: Source = (
        what if isinstance(what, Source) else (yield Call(partial(measure, what, content_type)))
    )
    if source.size_bytes > server.max_direct_bytes:
        return (yield from _upload_by_ticket(server, source))
    send = server.send(
        "POST",
        "/upload",
        Content_Type=source.content_type,
        Content_Length=str(source.size_bytes),
        Idempotency_Key=key or f"sha256-{source.sha256}",
    )
    try:
        answer = yield from persist(replace(send, body=source), server.patience)
    except Problem as problem:
        if problem.status != 413:
            raise
        return (yield from _upload_by_ticket(server, source))
    return str(_json(answer)["image_id"])


def metadata(server: Server, image_id: str) -> Exchange[Row]:
    send = server.send("GET", f"/get-image-metadata/{_quoted(image_id)}", Accept=JSON)
    return Row.from_json(_json((yield from persist(send, server.patience))))


def wait(server: Server, image_id: str, timeout_s: float) -> Exchange[Row]:
    answer = yield from _settled(server, image_id, timeout_s, JSON, None)
    return Row.from_json(_json(answer))


def fetch(server: Server, image_id: str, timeout_s: float) -> Exchange[bytes]:
    return (yield from _settled(server, image_id, timeout_s, IMAGE, None)).body


def fetch_to(server: Server, image_id: str, path: Path, timeout_s: float) -> Exchange[Path]:
    into = _beside(path)
    try:
        yield from _settled(server, image_id, timeout_s, IMAGE, into)
        yield Call(partial(_keep, into, path))
    finally:
        into.unlink(missing_ok=True)
    return path


def original(server: Server, image_id: str) -> Exchange[bytes]:
    return (yield from _original(server, image_id, None)).body


def original_to(server: Server, image_id: str, path: Path) -> Exchange[Path]:
    into = _beside(path)
    try:
        yield from _original(server, image_id, into)
        yield Call(partial(_keep, into, path))
    finally:
        into.unlink(missing_ok=True)
    return path


def page(
    server: Server, status: str | None, limit: int | None, cursor: str | None
) -> Exchange[tuple[list[Row], str | None]]:
    """At most `limit` rows, and the cursor of the page after it, None after the last."""
    asked = {"status": status, "limit": min(_PAGE, limit or _PAGE), "cursor": cursor}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    send = server.send("GET", f"/images?{query}", Accept=JSON)
    document = _json((yield from persist(send, server.patience)))
    return [Row.from_json(row) for row in document["images"]], document["cursor"]


def delete(server: Server, image_id: str) -> Exchange[None]:
    send = server.send("DELETE", f"/images/{_quoted(image_id)}")
    yield from persist(send, server.patience)


def retry(server: Server, image_id: str) -> Exchange[Row]:
    send = server.send("POST", f"/images/{_quoted(image_id)}/retry", Accept=JSON)
    return Row.from_json(_json((yield from persist(send, server.patience))))


def _upload_by_ticket(server: Server, source: Source) -> Exchange[str]:
    """Ask for leave, then put the bytes where it says: the key does not go there."""
    wanted = {
        "content_type": source.content_type,
        "size_bytes": source.size_bytes,
        "sha256": source.sha256,
    }
    send = server.send("POST", "/uploads", Content_Type=JSON)
    send = replace(send, body=json.dumps(wanted).encode())
    ticket = _json((yield from persist(send, server.patience)))
    image_id = str(ticket["image_id"])
    put = Send(ticket["method"], urljoin(send.url, ticket["url"]), ticket["headers"], source)
    for tries in range(1, _PUTS + 1):
        try:
            yield from persist(put, server.patience)
            return image_id
        except Problem as problem:
            if problem.code != "conflict" or tries == _PUTS:
                raise
            # An earlier try, whose answer was lost, has arrived or is still being taken in.
            row = yield from metadata(server, image_id)
            if row.sha256 == source.sha256:
                return image_id
            if row.status != "awaiting":
                raise
        yield Pause(backed_off_s(tries))
    raise AssertionError("The last try returns or raises.")


def _settled(
    server: Server, image_id: str, timeout_s: float, accept: str, into: Path | None
) -> Exchange[Answer]:
    """The processed image's answer, asked for until it is ready or `timeout_s` are over."""
    deadline_s = time.monotonic() + timeout_s
    most_wait_s = _MOST_WAIT_S
    while True:
        left_s = max(0.0, deadline_s - time.monotonic())
        wait_s = min(most_wait_s, math.ceil(left_s))
        query = f"?wait={wait_s}" if wait_s else ""
        path = f"/get-processed-image/{_quoted(image_id)}{query}"
        send = replace(server.send("GET", path, Accept=accept), into=into)
        try:
            return (yield from _followed(send, server.patience, leave="not_ready"))
        except Problem as problem:
            if problem.code == "bad_parameter" and wait_s:
                most_wait_s = 0  # this server lets nobody wait so long: ask now and then
            elif problem.code != "not_ready" or left_s == 0:
                raise
            else:
                left_s = max(0.0, deadline_s - time.monotonic())
                yield Pause(min(problem.retry_after_s or 1, left_s))


def _original(server: Server, image_id: str, into: Path | None) -> Exchange[Answer]:
    send = server.send("GET", f"/get-image-metadata/{_quoted(image_id)}", Accept=IMAGE)
    return (yield from _followed(replace(send, into=into), server.patience))


def _followed(send: Send, patience: Patience, leave: str = "") -> Exchange[Answer]:
    """As `persist`, and on to the signed URL of what is too large for the gateway."""
    answer = yield from persist(send, patience, leave)
    if answer.status == 303:
        url = urljoin(send.url, answer.headers["location"])
        answer = yield from persist(Send("GET", url, {}, into=send.into), patience)
    kind = answer.headers.get("content-type", "no type")
    if send.headers["Accept"] == IMAGE and not kind.startswith("image/"):
        raise _not_ours(answer, f"an image; got {kind}")
    return answer


def _json(answer: Answer) -> dict[str, Any]:
    try:
        value = json.loads(answer.body)
    except ValueError:
        value = None
    if not isinstance(value, Mapping):
        raise _not_ours(answer, f"JSON; got {answer.body[:100]!r}")
    return dict(value)


def _not_ours(answer: Answer, what_came: str) -> Problem:
    """What a URL that is not a Dandyroll server's comes to, though it answers."""
    message = f"Expected {what_came}. Is the URL a Dandyroll server's?"
    return Problem(answer.status, f"http_{answer.status}", message, "", None)


def _quoted(image_id: str) -> str:
    return quote(image_id, safe="")


def _keep(into: Path, path: Path) -> None:
    with into.open("rb") as file:
        os.fsync(file.fileno())
    into.replace(path)


def _beside(path: Path) -> Path:
    """Where a download grows: in the same folder, so that it becomes `path` in one step."""
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")

"""What AWS is asked: a way to the emulator that counts, in the units AWS bills.

A home opened on `Counter.cloud` works as on the emulator itself; every request of it is noted.
"""

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import add, sub
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from dandyroll.aws.cloud import Cloud
from dandyroll.aws.costs.usage import Calls
from tests.aws.templates import template

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}

_TABLE = template()["Resources"]["Table"]["Properties"]
_KEY = {part["AttributeName"] for part in _TABLE["KeySchema"]}
INDEXES: Mapping[str, tuple[set[str], set[str]]] = {
    index["IndexName"]: (
        {part["AttributeName"] for part in index["KeySchema"]},
        _KEY | set(index["Projection"].get("NonKeyAttributes", [])),
    )
    for index in _TABLE["GlobalSecondaryIndexes"]
}
"""Of each index of the table its own key's attributes, and what else it holds."""

_WRITES = ("PutItem", "UpdateItem", "DeleteItem")


@dataclass
class Counter:
    """`spent` is what has been asked so far; `unpriced` what was asked that has no price here."""

    cloud: Cloud
    spent: Calls = field(default_factory=Calls)
    unpriced: list[str] = field(default_factory=list)

    def spent_by(self, work: Callable[[], Any]) -> tuple[Any, Calls]:
        """What the work returns, and what it asks for."""
        before = self.spent
        answer = work()
        return answer, _combined(sub, self.spent, before)


@contextmanager
def counting(aws: "EmulatedHome") -> Iterator[Counter]:
    """A counter in front of the emulator for as long as the block lasts."""
    table = aws.emulator.client("dynamodb")
    lock = threading.Lock()

    class Way(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:  # one after the other, so that before and after are what they say
                operation = self.headers.get("X-Amz-Target", "").partition(".")[2]
                action = parse_qs(body.decode("latin-1")).get("Action", [""])[0]
                asked = json.loads(body) if operation else {}
                before = _item(table, operation, asked)
                status, headers, answer = self._passed_on(body)
                after = _item(table, operation, asked)
                if action == "Publish":
                    spent: Calls | None = Calls(publishes=1)
                elif operation:
                    spent = _units(operation, asked, before, after, json.loads(answer))
                else:
                    spent = _request(self.command, self.path)
                if spent is None:
                    counter.unpriced.append(f"{self.command} {operation or self.path}")
                else:
                    counter.spent = _combined(add, counter.spent, spent)
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in _HOP | {"content-length"}:
                    self.send_header(name, value)
            length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 # http.server's names

        def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            way = aws.emulator.connection(timeout_s=30)
            try:
                way.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    way.putheader(name, value)
                way.endheaders(body)
                response = way.getresponse()
                return response.status, response.getheaders(), response.read()
            finally:
                way.close()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Way) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        counter = Counter(replace(aws.emulator.cloud, endpoint_url=url, ca_bundle=""))
        yield counter
        server.shutdown()


def _request(method: str, path: str) -> Calls | None:
    """One request to S3. A listing costs as much as a PUT; deleting costs nothing."""
    query = urlsplit(path).query
    if method == "PUT" or (method == "GET" and ("list-type" in query or "versions" in query)):
        return Calls(s3_puts=1)
    return Calls(s3_gets=1) if method in ("GET", "HEAD") else None


def _units(
    operation: str,
    asked: Mapping[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
    answer: Mapping[str, Any],
) -> Calls | None:
    """One request to DynamoDB. A write that was refused costs as much as one that was not."""
    if operation == "GetItem":
        return Calls(read_units=_read_units(before))
    if operation == "Query":
        return Calls(read_units=_read_units(*answer["Items"]))
    if operation == "BatchGetItem":
        items = [item for items in answer["Responses"].values() for item in items]
        return Calls(read_units=sum(map(_read_units, items)))
    if operation not in _WRITES:
        return None
    written = max(1, math.ceil(max(item_bytes(before), item_bytes(after)) / 1024))
    indexed = sum(_index_units(name, before, after) for name in INDEXES)
    return Calls(write_units=written, index_units=indexed)


def _read_units(*items: Mapping[str, Any]) -> int:
    return max(1, math.ceil(sum(map(item_bytes, items)) / 4096))


def _index_units(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Of an entry made, changed or taken out; one whose key changes is taken out and made."""
    was, is_now = index_entry(name, before), index_entry(name, after)
    if was == is_now:
        return 0
    sizes = [math.ceil(item_bytes(entry) / 1024) for entry in (was, is_now) if entry]
    key, _ = INDEXES[name]
    moved = was and is_now and any(was[part] != is_now[part] for part in key)
    return sum(sizes) if moved else max(sizes)


def _item(table: Any, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    if operation not in ("GetItem", *_WRITES):
        return {}
    key = {"image-id": (asked.get("Key") or asked["Item"])["image-id"]}
    found = table.get_item(TableName=asked["TableName"], Key=key, ConsistentRead=True)
    item: dict[str, Any] = found.get("Item", {})
    return item


def index_entry(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """What of the item is in that index; nothing where it lacks the index's key."""
    key, others = INDEXES[name]
    if not key <= item.keys():
        return {}
    return {name: value for name, value in item.items() if name in key | others}


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size DynamoDB bills an item with: names and values, 3 bytes a map and 1 an entry."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return math.ceil(len(value.lstrip("-")) / 2) + 1 + value.startswith("-")
        case "M":
            return 3 + len(value) + item_bytes(value)
    assert kind in ("BOOL", "NULL"), kind
    return 1


def _combined(how: Callable[[int, int], int], one: Calls, other: Calls) -> Calls:
    return Calls(*map(how, astuple(one), astuple(other)))

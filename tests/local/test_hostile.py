"""Two thousand bad requests: each has its status and code, and nothing of them stays."""

import itertools
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import pictures
from tests.contract.client import READ_WRITE, Client
from tests.contract.test_api import bad_bodies
from tests.imaging.hostile import hostile
from tests.local.served_home import ServedHome, open_served_home

REQUESTS = 2_000
GROWTH_KB = 20_000


def test_two_thousand_bad_requests_leave_nothing(tmp_path: Path) -> None:
    with open_served_home(tmp_path, workers=1) as served:
        client = Client.new(served)
        requests = bad_requests(served, client)
        kinds = len(requests)
        _send(client, requests * 4)  # what is allocated once is allocated now
        before_kb = _memory_kb(served)
        files = _files(tmp_path)
        _send(client, list(itertools.islice(itertools.cycle(requests), REQUESTS)))
        assert _memory_kb(served) - before_kb <= GROWTH_KB, f"after {REQUESTS} of {kinds} kinds"
        assert _files(tmp_path) == files
        assert client.processed(client.upload(pictures.jpeg())).status == 200


@pytest.mark.slow
def test_a_thousand_hostile_files_get_typed_answers(tmp_path: Path) -> None:
    """Every format cut, flipped, bombed, polyglot: refused with a code, or settled."""
    files = list(hostile())
    assert len(files) >= 1_000
    with open_served_home(tmp_path, workers=2) as served:
        client = Client.new(served)
        for _, data in files[:200]:  # what is allocated once is allocated now
            client.send("POST", "/upload", data)
        before_kb = _memory_kb(served)

        def send(file: tuple[str, bytes]) -> str:
            name, data = file
            answer = client.send("POST", "/upload", data)
            if answer.status != 201:
                status, code = answer.problem
                assert 400 <= status < 500, (name, answer.body)
                return str(code)
            image_id = answer.json["image_id"]
            settled = client.processed(image_id)
            if settled.status == 200:
                return "processed"
            assert settled.problem == (409, "image_failed"), (name, settled.body)
            return "failed: " + str(client.row(image_id)["error"]["code"])

        with ThreadPoolExecutor(4) as threads:
            outcomes = Counter(threads.map(send, files))
        growth_kb = _memory_kb(served) - before_kb
        print(dict(outcomes), f"growth {growth_kb} kB")
        assert growth_kb <= GROWTH_KB
        assert client.processed(client.upload(pictures.jpeg())).status == 200


Request = tuple[str, str, bytes, str, tuple[int, str]]


def bad_requests(served: ServedHome, client: Client) -> list[Request]:
    """Method, path, body, key, and the status and code that the contract names."""
    revoked = served.create_key("revoked", READ_WRITE, int(time.time()) + 3600)
    served.revoke_key(revoked)
    expired = served.create_key("expired", READ_WRITE, int(time.time()) - 1)
    reader = served.create_key("reader", frozenset({"read"}), int(time.time()) + 3600)
    over = bytes(served.settings.max_direct_bytes + 1)
    names = ("..", "..%2f..%2fetc%2fpasswd", "a%2fb", "a%00b", "%00", "x" * 10_000)
    forbidden, missing = (403, "forbidden"), (404, "not_found")
    small = pictures.png(8, 8)
    return [
        *(("POST", "/upload", body, client.key, says) for body, says in bad_bodies().values()),
        *(("POST", "/upload", small, key, forbidden) for key in ("", "x", revoked, expired)),
        ("POST", "/upload", small, reader, (403, "scope")),
        ("POST", "/upload", over, client.key, (413, "body_too_large")),
        ("GET", "/nothing", b"", client.key, missing),
        *(("GET", f"/get-image-metadata/{name}", b"", client.key, missing) for name in names),
        *(("GET", f"/get-processed-image/{name}", b"", client.key, missing) for name in names),
    ]


def _send(client: Client, requests: list[Request]) -> None:
    def send(request: Request) -> None:
        method, path, body, key, says = request
        answer = client.send_bare(method, path, {"x-api-key": key}, body)
        assert answer.problem == says, (method, path[:60])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, requests))


def _memory_kb(served: ServedHome) -> int:
    assert served.server is not None
    status = Path(f"/proc/{served.server.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())

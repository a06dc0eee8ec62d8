"""The local home under test: a real server process on a folder of its own."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from dandyroll.imaging.header import read_header
from dandyroll.local.accept import accept, retry
from dandyroll.local.api_keys import create_api_key, revoke_api_key
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.home import BUCKET, objects_root, open_database
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.queue import Queue, add_job
from dandyroll.models import Row, Ticket
from dandyroll.pipeline import first_job
from dandyroll.policy import DEFAULT
from dandyroll.ports import Home
from dandyroll.settings import Settings

_START_S = 30

Answer = tuple[int, dict[str, str], bytes]


class ServedHome:
    """What the contract suite needs of a home; the AWS home has the same in `EmulatedHome`."""

    name = "local"
    differences: frozenset[str] = frozenset()

    def __init__(self, data_dir: Path, workers: int = 2) -> None:
        self.data_dir = data_dir
        self._workers = workers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = Settings(data_dir=data_dir, public_url=self.url)
        self.database = open_database(data_dir)
        objects = FileObjectStore(objects_root(data_dir))
        catalogue = SqliteCatalogue(self.database)
        queue = Queue(self.database)
        self.home = Home(
            objects=objects,
            catalogue=catalogue,
            probe=lambda data: read_header(data, self.settings.limits),
            accept=partial(accept, objects, catalogue, queue),
            retry=partial(retry, catalogue, queue),
            ticket=_no_ticket,
            elsewhere=lambda key, size_bytes, version: None,
            health=dict,
            bucket=BUCKET,
            s3_url=lambda image_id: f"{self.url}/get-image-metadata/{image_id}",
            policy=DEFAULT,
            settings=self.settings,
        )
        self.server: subprocess.Popen[bytes] | None = None

    def start(self, fault: str = "", stderr: IO[bytes] | None = None, **settings: str) -> None:
        """Start the server and wait until it answers, or has ended at a fault point.

        `settings` are environment variables by their whole names.
        """
        command = [sys.executable, "-m", "dandyroll.cli", "serve", "--data", str(self.data_dir)]
        command += ["--port", str(self.port), "--workers", str(self._workers)]
        environment = {**os.environ, "DANDYROLL_FAULT": fault, **settings}
        self.server = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr
        )
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s and self.server.poll() is None:
            try:
                self.request("GET", "/health")
                return
            except OSError:
                time.sleep(0.02)
        assert self.server.poll() is not None, f"The server did not answer in {_START_S} s."

    def kill(self) -> None:
        """`kill -9` the server; its workers end with it."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def processes(self) -> list[int]:
        """The pids of the server and its workers."""
        assert self.server is not None
        tasks = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        return [self.server.pid, *(int(pid) for task in tasks for pid in task.read_text().split())]

    def job_workers(self) -> list[int]:
        """The pids of the workers that run jobs: the server's other threads started them."""
        assert self.server is not None
        main = self.server.pid
        tasks = Path(f"/proc/{main}/task").glob("*/children")
        others = [task for task in tasks if task.parent.name != str(main)]
        return [int(pid) for task in others for pid in task.read_text().split()]

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request exactly as given: nothing in the path is tidied up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read()
        finally:
            connection.close()

    def create_key(self, owner: str, scopes: frozenset[str], expires_at: int) -> str:
        return create_api_key(self.database, owner, scopes, expires_at)

    def revoke_key(self, value: str) -> None:
        revoke_api_key(self.database, value)

    def deliver(self, image_id: str) -> None:
        """Have the image's job run once more: at home, what a crash before its removal leaves."""
        job = first_job(self.home.catalogue.get(image_id))
        self.database.write(lambda connection: add_job(connection, job))
        self.restart()

    def close(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(timeout=20)
        self.database.close()


@contextmanager
def open_served_home(data_dir: Path, workers: int = 2) -> Iterator[ServedHome]:
    served = ServedHome(data_dir, workers)
    try:
        served.start()
        yield served
    finally:
        served.close()


def _no_ticket(row: Row) -> Ticket:
    raise AssertionError("Only the server gives tickets.")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port

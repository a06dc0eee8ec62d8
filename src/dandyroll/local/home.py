"""The local home, wired by hand: what the server holds while it runs."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Self

from dandyroll.errors import Busy
from dandyroll.keys import RENDITIONS
from dandyroll.local import accept, faults
from dandyroll.local.admission import Admission, open_admission
from dandyroll.local.catalogue import SqliteCatalogue
from dandyroll.local.confine import NONE, confinement
from dandyroll.local.database import Database
from dandyroll.local.dispatch import Dispatcher
from dandyroll.local.exposition import Reading
from dandyroll.local.notify import Deliveries
from dandyroll.local.objects import FileObjectStore
from dandyroll.local.queue import Queue
from dandyroll.local.receivers import set_mail
from dandyroll.local.sweep import Sweeper
from dandyroll.local.tickets import Tickets, ticket_secret
from dandyroll.local.upkeep import Upkeep
from dandyroll.local.usage import UsageCounter
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.local.workers import Probes, Worker
from dandyroll.models import Header, Row, Ticket
from dandyroll.policy import DEFAULT
from dandyroll.ports import Home
from dandyroll.settings import BadSetting, Settings
from dandyroll.spans import start_spans, stop_spans

log = logging.getLogger("dandyroll.home")

_PROBES = 2  # so that a file that is slow to read does not hold up everybody's
_LOCK = "server.lock"

BUCKET = "local"
CATALOGUE = "catalogue.db"


@dataclass(frozen=True)
class LocalHome:
    """An open local home: the `Home` all else sees, and what must be closed after it.

    `readings` are the metrics that are looked up in it.
    """

    home: Home
    database: Database
    admission: Admission
    tickets: Tickets
    deliveries: Deliveries
    readings: tuple[Reading, ...]
    resources: ExitStack

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.resources.close()


def open_home(settings: Settings) -> LocalHome:
    """Open the data folder, start the workers, take up the jobs that are waiting.

    Raises `BadSetting` where another server has the folder open.
    """
    with ExitStack() as resources:
        resources.enter_context(_only_server(settings.data_dir))
        start_spans(settings.otel_endpoint, "local")
        resources.callback(stop_spans)
        objects = FileObjectStore(objects_root(settings.data_dir))
        objects.sweep()
        database = open_database(settings.data_dir)
        resources.callback(database.close)
        usage = UsageCounter(database)
        resources.callback(usage.close)
        catalogue, queue = SqliteCatalogue(database), Queue(database)
        catalogue.end_leases()
        set_mail(database, settings)
        deliveries = Deliveries(database, settings)
        resources.callback(deliveries.close)
        _say_what_is_not_confined()
        options = WorkerOptions.from_settings(
            settings, objects_root(settings.data_dir), objects.folders(RENDITIONS)
        )
        workers = settings.workers or os.cpu_count() or 1
        probes = Probes(replace(options, writable=()), _PROBES)
        resources.callback(probes.close)
        dispatcher = Dispatcher(queue, catalogue, objects, options, workers, settings.job_timeout_s)
        resources.callback(dispatcher.close)

        def health() -> dict[str, str | int]:
            return {"home": "local", "workers": workers, "queued": len(queue)}

        tickets = Tickets(
            objects,
            catalogue,
            queue,
            probes,
            ticket_secret(database),
            settings.public_url,
            settings.ticket_lifetime_s,
        )
        readings = (
            Reading("dandyroll_jobs_queued", "Jobs that wait for a worker.", lambda: len(queue)),
            Reading("dandyroll_jobs_running", "Jobs that workers have now.", dispatcher.busy),
            Reading(
                "dandyroll_job_age_seconds", "How long the oldest due job waits.", queue.oldest_s
            ),
            Reading("dandyroll_workers", "Worker processes for jobs.", lambda: workers),
        )
        faults.arm(settings.fault)
        deliveries.start()
        home = _wire(settings, objects, catalogue, queue, probes, tickets.give, health)
        admission = open_admission(database, usage, settings)
        sweeper = Sweeper(Upkeep(home, objects, catalogue, database, queue))
        resources.callback(sweeper.close)
        return LocalHome(
            home, database, admission, tickets, deliveries, readings, resources.pop_all()
        )


@contextmanager
def open_upkeep(settings: Settings) -> Iterator[Upkeep]:
    """What `verify` repairs with: the home without its workers, beside a running server too.

    A job it writes is taken up by the server's next sweep, or at its next start.
    """
    with ExitStack() as resources:
        make_data_dir(settings.data_dir)
        objects = FileObjectStore(objects_root(settings.data_dir))
        database = open_database(settings.data_dir)
        resources.callback(database.close)
        catalogue, queue = SqliteCatalogue(database), Queue(database)
        worker = Worker(WorkerOptions.from_settings(settings, objects_root(settings.data_dir)))
        resources.callback(worker.kill)  # it starts with its first header
        home = _wire(settings, objects, catalogue, queue, worker.probe, _no_ticket, dict)
        yield Upkeep(home, objects, catalogue, database, queue)


def _wire(
    settings: Settings,
    objects: FileObjectStore,
    catalogue: SqliteCatalogue,
    queue: Queue,
    probe: Callable[[bytes], Header],
    ticket: Callable[[Row], Ticket],
    health: Callable[[], dict[str, str | int]],
) -> Home:
    def s3_url(image_id: str) -> str:
        return f"{settings.public_url.rstrip('/')}/get-image-metadata/{image_id}"

    return Home(
        objects=objects,
        catalogue=catalogue,
        probe=probe,
        accept=partial(accept.accept, objects, catalogue, queue),
        retry=partial(accept.retry, catalogue, queue),
        ticket=ticket,
        elsewhere=lambda key, size_bytes, version: None,
        health=health,
        bucket=BUCKET,
        s3_url=s3_url,
        policy=DEFAULT,
        settings=settings,
    )


def _no_ticket(row: Row) -> Ticket:
    raise Busy("Only a running server gives tickets.")


def open_database(data_dir: Path) -> Database:
    """The catalogue's file in the data folder, made if absent; beside a running server too."""
    make_data_dir(data_dir)
    return Database(data_dir / CATALOGUE)


def make_data_dir(data_dir: Path) -> None:
    """Make the folder, for its user alone. One that is there keeps the mode it has."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_kept_database(data_dir: Path) -> Database:
    """The same, but of a folder that has one. Raises `BadSetting` where there is none."""
    check_catalogue(data_dir)
    return open_database(data_dir)


def check_catalogue(data_dir: Path) -> None:
    """Raise `BadSetting` for what is no data folder: a mistyped one is told, not made."""
    if not (data_dir / CATALOGUE).is_file():
        raise BadSetting(f"--data {data_dir}: expected a {CATALOGUE}; there is none.")


def objects_root(data_dir: Path) -> Path:
    return data_dir / "objects"


def _say_what_is_not_confined() -> None:
    missing = [bound for bound, means in confinement().items() if means == NONE]
    if missing:
        log.warning(
            "This system cannot bound what workers do in: %s. See docs/limits.md.",
            ", ".join(missing),
        )


def write_address(data_dir: Path, scheme: str, host: str, port: int) -> None:
    """Leave word in the data folder where its server listens, for commands on this machine."""
    local_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    bracketed = f"[{local_host}]" if ":" in local_host else local_host
    (data_dir / _LOCK).write_text(f"{scheme}://{bracketed}:{port}\n", "utf-8")


def read_address(data_dir: Path) -> str:
    """The URL of the folder's server, on this machine. Raises `BadSetting` if it has had none."""
    lock = data_dir / _LOCK
    url = lock.read_text("utf-8").strip() if lock.exists() else ""
    if not url:
        raise BadSetting(f"DANDYROLL_DATA_DIR: no server has been started on {data_dir}.")
    return url


def _only_server(data_dir: Path) -> IO[bytes]:
    make_data_dir(data_dir)
    lock = (data_dir / _LOCK).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it for the dead
    except BlockingIOError:
        lock.close()
        raise BadSetting(
            f"DANDYROLL_DATA_DIR: another server has {data_dir} open; give each its own folder."
        ) from None
    return lock

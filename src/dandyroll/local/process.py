"""`dandyroll process`: many files at once, on all cores, each in a worker that may die."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from dandyroll.errors import DandyrollError, StoreUnavailable
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.local.workers import Worker
from dandyroll.settings import Settings

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `error` is None where `target` was written."""

    source: Path
    target: Path
    error: str | None


def plan(paths: list[Path], out: Path) -> list[Outcome]:
    """Which file becomes which, a folder's pictures under their own relative names.

    A plan has an error where a path is not there, or a target would overwrite a source or
    another target.
    """
    planned: dict[Path, Outcome] = {}
    refused: list[Outcome] = []
    for source, target in _pairs(paths, out):
        error = None
        if not source.is_file():
            error = "no such file"
        elif target.resolve() == source.resolve():
            error = "would be overwritten; choose another --out"
        elif target in planned:
            error = f"has the same name as {planned[target].source}"
        outcome = Outcome(source, target, error)
        if error:
            refused.append(outcome)
        else:
            planned[target] = outcome
    return [*planned.values(), *refused]


def process(planned: list[Outcome], out: Path, settings: Settings) -> Iterator[Outcome]:
    """Process what is planned without an error; outcomes come as they are done.

    The workers can write in `out` and nowhere else. Raises `StoreUnavailable` if it cannot be made.
    """
    count = settings.workers or os.cpu_count() or 1
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"--out {out}: cannot be made ({error.strerror}).") from error
    options = WorkerOptions.from_settings(settings, Path(), (out,))
    idle: SimpleQueue[Worker] = SimpleQueue()
    workers = [Worker(options) for _ in range(count)]
    for worker in workers:
        idle.put(worker)

    def one(outcome: Outcome) -> Outcome:
        worker = idle.get()
        try:
            worker.process(outcome.source, outcome.target, settings.job_timeout_s)
        except DandyrollError as error:
            return Outcome(outcome.source, outcome.target, f"{error.code}: {error.message}")
        finally:
            idle.put(worker)
        return outcome

    try:
        with ThreadPoolExecutor(count) as threads:
            for future in as_completed([threads.submit(one, p) for p in planned if not p.error]):
                yield future.result()
    finally:
        for worker in workers:
            worker.kill()
    yield from (outcome for outcome in planned if outcome.error)


def _pairs(paths: list[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.suffix.lower() in _SUFFIXES)
            yield from ((p, out / p.relative_to(path)) for p in inside if p.is_file())
        else:
            yield path, out / path.name

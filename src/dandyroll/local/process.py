"""`dandyroll process`: many files at once, on all cores, each in a worker that may die."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from dandyroll.errors import DandyrollError, StoreUnavailable
from dandyroll.formats import possible_names
from dandyroll.local.made import Made, sha256_of
from dandyroll.local.worker_options import WorkerOptions
from dandyroll.local.workers import Worker
from dandyroll.policy import DEFAULT
from dandyroll.settings import Settings

_SUFFIXES = {
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".heif", ".svg",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What is to become of one file, or became of it: `skipped` where it was there already.

    `code` and `message` say why one failed.
    """

    source: Path
    target: Path
    state: Literal["planned", "processed", "skipped", "failed"] = "planned"
    code: str = ""
    message: str = ""

    def failed(self, code: str, message: str) -> "Outcome":
        return replace(self, state="failed", code=code, message=message)


def plan(paths: list[Path], out: Path) -> list[Outcome]:
    """Which file becomes which, a folder's pictures under their own relative names.

    One has failed before it began where a path is not there, or a target would overwrite a
    source or another target. What lies in `out` is no folder's picture.
    """
    planned: list[Outcome] = []
    names: dict[Path, Path] = {}
    pairs = list(find_pictures(paths, out))
    sources = {source.resolve() for source, _ in pairs}
    refused: list[Outcome] = []
    for source, name in pairs:
        outcome = Outcome(source, out / name)
        if not source.is_file():
            refused.append(outcome.failed("no_such_file", "There is no such file."))
        elif sources & {target.resolve() for target in possible_names(outcome.target)}:
            message = "A source would be overwritten; choose another --out."
            refused.append(outcome.failed("would_overwrite", message))
        elif taken := next((t for t in possible_names(outcome.target) if t in names), None):
            message = f"It has the same name as {names[taken]}."
            refused.append(outcome.failed("same_name", message))
        else:
            planned.append(outcome)
            names |= dict.fromkeys(possible_names(outcome.target), source)
    return planned + refused


def process(
    planned: list[Outcome], out: Path, settings: Settings, *, force: bool = False
) -> Iterator[Outcome]:
    """Process what is planned; outcomes come as they are done.

    What was made before, and is still what its source becomes, is skipped unless `force`. The
    workers can write in `out` and nowhere else. Raises `StoreUnavailable` if it cannot be made.
    """
    count = settings.workers or os.cpu_count() or 1
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"--out {out}: cannot be made ({error.strerror}).") from error
    options = WorkerOptions.from_settings(settings, Path(), (out,))
    made = Made(out, DEFAULT.id)
    idle: SimpleQueue[Worker] = SimpleQueue()
    workers = [Worker(options) for _ in range(count)]
    for worker in workers:
        idle.put(worker)

    def one(outcome: Outcome) -> Outcome:
        worker = idle.get()
        try:
            source_sha256 = sha256_of(outcome.source)
            if not force:
                for target in possible_names(outcome.target):
                    if made.has(target, source_sha256):
                        return replace(outcome, target=target, state="skipped")
                    if target.exists() and not made.knows(target):
                        message = f"{target} is there, not made by us; give --force to replace it."
                        return outcome.failed("target_exists", message)
            target = worker.process(outcome.source, outcome.target, settings.job_timeout_s)
            made.add(target, source_sha256)
        except DandyrollError as error:
            return outcome.failed(error.code, error.message)
        except OSError as error:
            return outcome.failed("store_unavailable", f"{error.strerror}: {error.filename}")
        finally:
            idle.put(worker)
        return replace(outcome, target=target, state="processed")

    to_do = [outcome for outcome in planned if outcome.state == "planned"]
    try:
        with ThreadPoolExecutor(count) as threads:
            try:
                for future in as_completed([threads.submit(one, outcome) for outcome in to_do]):
                    yield future.result()
            except BaseException:  # Ctrl-C: what is begun is finished, the rest is not begun
                threads.shutdown(cancel_futures=True)
                raise
    finally:
        for worker in workers:
            worker.kill()
    yield from (outcome for outcome in planned if outcome.state == "failed")


def find_pictures(paths: list[Path], out: Path | None) -> Iterator[tuple[Path, Path]]:
    """Each file named or found in a folder, and the name it has there: `sub/a.jpg`.

    Folders are searched for pictures by their suffix, but not a folder `out` inside of them.
    """
    for path in paths:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        made = out.resolve() if out and path.resolve() in out.resolve().parents else None
        for found in sorted(path.rglob("*")):
            ours = made is not None and made in found.resolve().parents
            if found.suffix.lower() in _SUFFIXES and found.is_file() and not ours:
                yield found, found.relative_to(path)

"""What every worker is started with: the server gives it, the worker reads it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dandyroll.local import faults
from dandyroll.models import Limits
from dandyroll.settings import Settings


@dataclass(frozen=True)
class WorkerOptions:
    """`writable` are the only folders it may write in; they exist. After `jobs` answers it is
    replaced by a new one; 0: never."""

    objects_root: Path
    max_pixels: int
    max_animation_pixels: int
    memory_bytes: int
    jobs: int
    fault: str = ""
    writable: tuple[Path, ...] = ()

    @classmethod
    def from_settings(
        cls, settings: Settings, objects_root: Path, writable: tuple[Path, ...] = ()
    ) -> Self:
        return cls(
            objects_root=objects_root.absolute(),
            max_pixels=settings.max_pixels,
            max_animation_pixels=settings.max_animation_pixels,
            memory_bytes=settings.worker_memory_bytes,
            jobs=settings.worker_jobs,
            fault=faults.for_workers(settings.fault),
            writable=tuple(folder.absolute() for folder in writable),
        )

    @property
    def limits(self) -> Limits:
        return Limits(self.max_pixels, self.max_animation_pixels, self.memory_bytes)

    def to_json(self) -> str:
        return json.dumps(
            {
                **self.__dict__,
                "objects_root": str(self.objects_root),
                "writable": [str(folder) for folder in self.writable],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        value = json.loads(text)
        value["objects_root"] = Path(value["objects_root"])
        value["writable"] = tuple(Path(folder) for folder in value["writable"])
        return cls(**value)

"""What every worker is started with: the server gives it, the worker reads it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from dandyroll.local import faults
from dandyroll.models import Limits
from dandyroll.settings import Settings


@dataclass(frozen=True)
class WorkerOptions:
    """`writable` are the only folders it may write in; they exist. After `jobs` answers it is
    replaced by a new one; 0: never. `limits` are what pictures are reckoned by beforehand,
    `memory_bytes` what the kernel holds it to."""

    objects_root: Path
    limits: Limits
    memory_bytes: int
    jobs: int
    log_level: str = "info"
    fault: str = ""
    writable: tuple[Path, ...] = ()

    @classmethod
    def from_settings(
        cls, settings: Settings, objects_root: Path, writable: tuple[Path, ...] = ()
    ) -> Self:
        return cls(
            objects_root=objects_root.absolute(),
            limits=settings.limits,
            memory_bytes=settings.worker_memory_bytes,
            jobs=settings.worker_jobs,
            log_level=settings.log_level,
            fault=faults.for_workers(settings.fault),
            writable=tuple(folder.absolute() for folder in writable),
        )

    def to_json(self) -> str:
        return json.dumps(
            {
                **self.__dict__,
                "limits": asdict(self.limits),
                "objects_root": str(self.objects_root),
                "writable": [str(folder) for folder in self.writable],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        value = json.loads(text)
        value["limits"] = Limits(**value["limits"])
        value["objects_root"] = Path(value["objects_root"])
        value["writable"] = tuple(Path(folder) for folder in value["writable"])
        return cls(**value)

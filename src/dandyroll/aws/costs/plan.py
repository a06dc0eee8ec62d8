"""What a bill is estimated for."""

from dataclasses import dataclass
from decimal import Decimal

WORKFLOWS = ("standard", "express")
ARCHITECTURES = ("arm64", "x86_64")
RETENTIONS_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 180, 365)
"""What the template takes for the logs."""


class BadPlan(ValueError):
    """A plan that no bill can be made for; the message says what was expected and what came."""


@dataclass(frozen=True)
class Plan:
    """A month; the defaults are the template's, and an image as phones make them.

    `reads` are renditions fetched, for each image. `keep_months` is for how many months' images
    originals, renditions and rows are stored: 1 is the first month's bill. `memory_mib` is that of
    the functions that see pictures; None: as deployed. Raises `BadPlan`.
    """

    images: int = 1000
    reads: Decimal = Decimal(1)
    size_bytes: int = 3_000_000
    megapixels: Decimal = Decimal(12)
    workflow: str = "standard"
    architecture: str = "arm64"
    memory_mib: int | None = None
    log_retention_days: int = 30
    keep_months: Decimal = Decimal(1)
    alarms: bool = True
    dashboard: bool = False
    trace_rate: Decimal = Decimal("0.05")
    cdn: bool = False
    infrequent_access: bool = False

    def __post_init__(self) -> None:
        _between("images", self.images, 1, 10**9)
        _between("reads", self.reads, 0, 10**6)
        _between("size-bytes", self.size_bytes, 1, 100_000_000)
        _between("megapixels", self.megapixels, Decimal("0.000001"), 100)
        _between("keep-months", self.keep_months, 0, 1200)
        _between("trace-rate", self.trace_rate, 0, 1)
        if self.memory_mib is not None:
            _between("memory", self.memory_mib, 128, 10_240)
        _one_of("workflow", self.workflow, WORKFLOWS)
        _one_of("architecture", self.architecture, ARCHITECTURES)
        _one_of("log-retention", self.log_retention_days, RETENTIONS_DAYS)


def _between(name: str, value: int | Decimal, least: int | Decimal, most: int) -> None:
    if not (Decimal(value).is_finite() and least <= value <= most):
        raise BadPlan(f"--{name}: expected {least} to {most}; got {value}.")


def _one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        expected = ", ".join(map(str, choices))
        raise BadPlan(f"--{name}: expected one of {expected}; got {value}.")

"""Every setting, once: name, type, default, help. Read from `DANDYROLL_*` when a home opens.

`docs/settings.md` is generated from this table.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

PREFIX = "DANDYROLL_"


class BadSetting(ValueError):
    """A setting that is unknown or has an unusable value; the message names it."""


@dataclass(frozen=True)
class Setting:
    """One row of the table. `env` is the variable that sets it."""

    name: str
    type: type
    default: Any
    help: str

    @property
    def env(self) -> str:
        return PREFIX + self.name.upper()


@dataclass(frozen=True)
class Settings:
    """All settings of a home, checked. Sizes in bytes, times in seconds."""

    data_dir: Path = field(
        default=Path("data"), metadata={"help": "Local home: the one folder everything is kept in."}
    )
    public_url: str = field(
        default="",
        metadata={"help": "Local home: the URL clients reach the server by, as rows tell it. "
                          "Empty: made from host and port."},
    )  # fmt: skip
    workers: int = field(
        default=0,
        metadata={"help": "Local home: processes that work on pictures. 0: one for each core."},
    )
    max_direct_bytes: int = field(
        default=20_000_000,
        metadata={"help": "The largest body `POST /upload` takes. The AWS template sets 4500000: "
                          "Lambda's 6 MB less base64."},
    )  # fmt: skip
    max_answer_bytes: int = field(
        default=4_500_000,
        metadata={"help": "AWS home: images over this size are answered by 303 to a signed "
                          "URL, since Lambda answers with at most 6 MB less base64."},
    )  # fmt: skip
    max_pixels: int = field(
        default=50_000_000,
        metadata={"help": "The most pixels (width times height) an image may have."},
    )
    max_wait_s: int = field(
        default=20, metadata={"help": "The longest `?wait=` a request may ask for."}
    )
    body_timeout_s: int = field(
        default=60, metadata={"help": "Local home: how long the bytes of an upload may take."}
    )
    job_timeout_s: int = field(
        default=60,
        metadata={"help": "Local home: after this long on one image its worker is killed."},
    )
    worker_memory_bytes: int = field(
        default=2_000_000_000,
        metadata={"help": "Local home: the memory one worker may take. 50 megapixels need up to "
                          "1400000000, as an interlaced PNG of 16 bits with alpha."},
    )  # fmt: skip
    worker_jobs: int = field(
        default=1_000,
        metadata={"help": "Local home: after so many images a worker is replaced by a new one. "
                          "0: never."},
    )  # fmt: skip
    key_requests_per_s: int = field(
        default=100,
        metadata={"help": "Local home: requests a second an API key may go on making. "
                          "0: no limit."},
    )  # fmt: skip
    key_burst: int = field(
        default=5_000,
        metadata={"help": "Local home: requests a key that was idle may make at once."},
    )
    api_requests_per_s: int = field(
        default=10_000,
        metadata={"help": "Local home: requests a second of all callers together. 0: no limit."},
    )
    api_burst: int = field(
        default=5_000,
        metadata={"help": "Local home: requests of all callers together at once."},
    )
    url: str = field(default="", metadata={"help": "Commands that talk to a server: where it is."})
    key: str = field(
        default="", repr=False, metadata={"help": "Commands that talk to a server: your API key."}
    )
    log_level: str = field(
        default="info",
        metadata={"help": "Local home: the least a log line must be: `debug`, `info`, `warning` "
                          "or `error`.", "one_of": ("debug", "info", "warning", "error")},
    )  # fmt: skip
    log_format: str = field(
        default="auto",
        metadata={"help": "Local home: `json`, `text`, or `auto`: text on a terminal, else JSON.",
                  "one_of": ("auto", "json", "text")},
    )  # fmt: skip
    otel_endpoint: str = field(
        default="",
        metadata={"help": "The URL of an OTLP/HTTP receiver for OpenTelemetry traces, such as "
                          "`http://127.0.0.1:4318`; needs the extra `otel`. Empty: no traces."},
    )  # fmt: skip
    fault: str = field(
        default="",
        metadata={"help": "For tests: `POINT=kill` or `POINT=fail` trips a named fault point."},
    )
    bucket: str = field(default="", metadata={"help": "AWS home: the S3 bucket."})
    table: str = field(default="", metadata={"help": "AWS home: the DynamoDB table."})

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            value = getattr(self, setting.name)
            if setting.type is int and value < 0:
                raise BadSetting(f"{setting.env}: expected a number of at least 0; got {value}.")
        for name in _AT_LEAST_ONE:
            if getattr(self, name) == 0:
                raise BadSetting(f"{PREFIX}{name.upper()}: expected a number of at least 1; got 0.")
        for f in fields(self):
            allowed, text = f.metadata.get("one_of"), getattr(self, f.name)
            if allowed and text not in allowed:
                expected = ", ".join(allowed)
                raise BadSetting(
                    f"{PREFIX}{f.name.upper()}: expected one of {expected}; got {text!r}."
                )
        if self.otel_endpoint and not self.otel_endpoint.startswith(("http://", "https://")):
            raise BadSetting(
                f"{PREFIX}OTEL_ENDPOINT: expected a URL of http or https; "
                f"got {self.otel_endpoint!r}."
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **given: Any) -> Self:
        """The settings named in the environment; `given` ones, where not None, go before.

        Raises `BadSetting` for an unknown `DANDYROLL_*` variable or an unusable value.
        """
        table = {setting.env: setting for setting in SETTINGS}
        values: dict[str, Any] = {}
        for env, text in environ.items():
            if not env.startswith(PREFIX):
                continue
            if env not in table:
                raise BadSetting(f"{env}: no such setting. There are: {', '.join(sorted(table))}.")
            setting = table[env]
            try:
                values[setting.name] = setting.type(text)
            except ValueError:
                kind = "a whole number" if setting.type is int else setting.type.__name__
                raise BadSetting(f"{env}: expected {kind}; got {text!r}.") from None
        return cls(**{**values, **{k: v for k, v in given.items() if v is not None}})


_AT_LEAST_ONE = (
    "max_direct_bytes",
    "max_pixels",
    "body_timeout_s",
    "job_timeout_s",
    "worker_memory_bytes",
)

SETTINGS: tuple[Setting, ...] = tuple(
    Setting(
        f.name,
        Path if isinstance(f.default, Path) else type(f.default),
        f.default,
        f.metadata["help"],
    )
    for f in fields(Settings)
)

"""Every setting, once: name, type, default, help.

Read from `DANDYROLL_*` when a home opens; at home also from the text of a `dandyroll.toml`, which
the environment goes before. `docs/settings.md` is generated from this table.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from dandyroll.events import parse_event_types
from dandyroll.models import Limits

PREFIX = "DANDYROLL_"

_WORDS = {"true": True, "yes": True, "on": True, "1": True}
_WORDS |= {"false": False, "no": False, "off": False, "0": False}
_KINDS = {int: "a whole number", bool: "true or false", str: "text", Path: "a path"}


class BadSetting(ValueError):
    """A setting that is unknown or has an unusable value; the message names it and where it is."""


@dataclass(frozen=True)
class Setting:
    """One row of the table. `env` is the variable that sets it; `least` bounds a number, `one_of`
    a word. `in_file` is false where no settings file may set it."""

    name: str
    type: type
    default: Any
    help: str
    least: int = 0
    one_of: tuple[str, ...] = ()
    in_file: bool = True

    @property
    def env(self) -> str:
        return PREFIX + self.name.upper()

    def from_text(self, text: str, where: str) -> Any:
        """The value that an environment variable spells. Raises `BadSetting`."""
        try:
            value = _WORDS[text.strip().lower()] if self.type is bool else self.type(text)
        except (KeyError, ValueError):
            raise BadSetting(f"{where}: expected {_KINDS[self.type]}; got {text!r}.") from None
        self.check(value, where)
        return value

    def check(self, value: Any, where: str) -> None:
        """Raise `BadSetting` for a value outside the setting's range."""
        if self.type is int and value < self.least:
            raise BadSetting(f"{where}: expected a number of at least {self.least}; got {value}.")
        if self.one_of and value not in self.one_of:
            raise BadSetting(f"{where}: expected one of {', '.join(self.one_of)}; got {value!r}.")
        if self.name in ("port", "smtp_port") and value > 65_535:
            raise BadSetting(f"{where}: expected a number of at most 65535; got {value}.")


@dataclass(frozen=True)
class SettingsFile:
    """A settings file's path and text. Relative paths in it are taken from its folder."""

    path: Path
    text: str

    def values(self) -> dict[str, Any]:
        """What it sets. Raises `BadSetting`, which names file, line and key."""
        try:
            parsed = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise BadSetting(f"{self.path}: expected TOML; {error}.") from None
        table = {setting.name: setting for setting in SETTINGS}
        found: dict[str, Any] = {}
        for name, value in parsed.items():
            where = f"{self.path}, line {self._line(name)}: {name}"
            if isinstance(value, dict) and name not in table:
                raise BadSetting(f"{where}: expected no sections, but lines such as port = 8443.")
            if name not in table:
                raise BadSetting(f"{where}: no such setting.{_nearest(name, table)}")
            if not table[name].in_file:  # whoever wrote the file here would be sent the key
                raise BadSetting(f"{where}: expected in the environment alone: {table[name].env}.")
            kind = str if table[name].type is Path else table[name].type
            if type(value) is not kind:  # a bool is an int to isinstance
                raise BadSetting(f"{where}: expected {_KINDS[table[name].type]}; got {value!r}.")
            table[name].check(value, where)
            if table[name].type is Path:
                value = self.path.parent / str(value) if value else Path()
            found[name] = value
        return found

    def _line(self, name: str) -> int:
        quoted = re.escape(name)
        key = re.compile(rf"""^\s*\[*\s*["']?{quoted}["']?\s*[=.\]]""")
        lines = self.text.splitlines()
        return next((number for number, line in enumerate(lines, 1) if key.match(line)), 1)


@dataclass(frozen=True)
class Settings:
    """All settings of a home, checked. Sizes in bytes, times in seconds."""

    data_dir: Path = field(
        default=Path("data"), metadata={"help": "Local home: the one folder everything is kept in."}
    )
    host: str = field(
        default="127.0.0.1",
        metadata={"help": "Local home: the address to listen on; `0.0.0.0` for every one of the "
                          "machine's. Any but this machine's own needs TLS or `allow_plain_http`."},
    )  # fmt: skip
    port: int = field(default=8000, metadata={"help": "Local home: the port. 0: any free one."})
    tls_cert: Path = field(
        default=Path(),
        metadata={"help": "Local home: a PEM file with the certificate and the chain above it."},
    )
    tls_key: Path = field(
        default=Path(),
        metadata={"help": "Local home: a PEM file with the certificate's key, not encrypted."},
    )
    allow_plain_http: bool = field(
        default=False,
        metadata={"help": "Local home: listen off loopback without TLS, where a proxy in front "
                          "has it."},
    )  # fmt: skip
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
                          "Lambda's 6 MB less base64.",
                  "least": 1},
    )  # fmt: skip
    max_upload_bytes: int = field(
        default=100_000_000,
        metadata={"help": "The largest file a ticket (`POST /uploads`) is given for."},
    )
    ticket_lifetime_s: int = field(
        default=900, metadata={"help": "How long a ticket's URL takes the bytes."}
    )
    max_answer_bytes: int = field(
        default=4_500_000,
        metadata={"help": "AWS home: images over this size are answered by 303 to a signed "
                          "URL, since Lambda answers with at most 6 MB less base64."},
    )  # fmt: skip
    max_pixels: int = field(
        default=50_000_000,
        metadata={"least": 1, "help": "The most pixels (width times height) an image may have."},
    )
    max_animation_pixels: int = field(
        default=20_000_000,
        metadata={"help": "The most pixels (width times height times frames) an animation may "
                          "have.",
                  "least": 1},
    )  # fmt: skip
    max_wait_s: int = field(
        default=20, metadata={"help": "The longest `?wait=` a request may ask for."}
    )
    body_timeout_s: int = field(
        default=60,
        metadata={"least": 1, "help": "Local home: how long the bytes of an upload may take."},
    )
    job_timeout_s: int = field(
        default=60,
        metadata={
            "least": 1,
            "help": "Local home: after this long on one image its worker is killed.",
        },
    )
    worker_memory_bytes: int = field(
        default=2_000_000_000,
        metadata={"help": "The memory that one worker may take. Pictures that would need more, by "
                          "their kind and size, are refused (docs/formats.md).",
                  "least": 1},
    )  # fmt: skip
    stage_memory_mib: int = field(
        default=0,
        metadata={"help": "AWS home: the memory of the functions that work on pictures, as the "
                          "template sets it; `worker_memory_bytes` follows from it. 0: it does "
                          "not."},
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
    keep_originals_days: int = field(
        default=0,
        metadata={"help": "So many days after its upload the original of a processed image is "
                          "deleted; rendition and row stay. AWS home: of any image, set by the "
                          "template's `KeepOriginalsDays`. 0: kept for ever."},
    )  # fmt: skip
    keep_processed_days: int = field(
        default=0,
        metadata={"help": "Local home: so many days after its upload a processed image is deleted "
                          "whole. 0: kept for ever."},
    )  # fmt: skip
    keep_failed_days: int = field(
        default=0,
        metadata={"help": "Local home: so many days after its upload a failed image is deleted "
                          "whole. 0: kept for ever."},
    )  # fmt: skip
    sweep_every_s: int = field(
        default=3600,
        metadata={"help": "Local home: how often the server sweeps: adopts files put under "
                          "`uploaded/`, removes rubbish, applies the `keep_` settings.",
                  "least": 1},
    )  # fmt: skip
    sweep_min_age_s: int = field(
        default=600,
        metadata={"help": "The sweep and `verify` leave a file alone until it has not changed for "
                          "so long, so that they meet no write under way. AWS home: the sweep "
                          "does with an upload; longer than an execution may last."},
    )  # fmt: skip
    url: str = field(
        default="",
        metadata={"in_file": False, "help": "Commands that talk to a server: where it is."},
    )
    key: str = field(
        default="",
        repr=False,
        metadata={"in_file": False, "help": "Commands that talk to a server: your API key."},
    )
    webhook_timeout_s: int = field(
        default=10,
        metadata={"least": 1, "help": "Local home: how long a webhook's receiver may take."},
    )
    webhook_slots: int = field(
        default=4,
        metadata={
            "least": 1,
            "help": "Local home: deliveries under way at once, for each webhook.",
        },
    )
    retry_first_s: int = field(
        default=5,
        metadata={"least": 1,
                  "help": "Local home: the wait before an event's second delivery; it doubles "
                          "with each further one."},
    )  # fmt: skip
    retry_max_s: int = field(
        default=3_600,
        metadata={"least": 1, "help": "Local home: the longest wait between two deliveries."},
    )
    give_up_s: int = field(
        default=86_400,
        metadata={"least": 1,
                  "help": "Local home: an event that could not be delivered for this long is "
                          "given up; it stays in the log and can be replayed."},
    )  # fmt: skip
    event_log_days: int = field(
        default=7,
        metadata={"least": 1, "help": "Local home: how long events and their deliveries are kept."},
    )
    smtp_host: str = field(
        default="", metadata={"help": "Local home: the mail server. Empty: no mail is sent."}
    )
    smtp_port: int = field(default=587, metadata={"help": "Local home: the mail server's port."})
    smtp_security: str = field(
        default="starttls",
        metadata={"one_of": ("starttls", "tls", "none"),
                  "help": "Local home: `starttls`, `tls` (from the first byte, often port 465) or "
                          "`none`."},
    )  # fmt: skip
    smtp_user: str = field(
        default="", metadata={"help": "Local home: the name to log in with. Empty: no login."}
    )
    smtp_password: str = field(
        default="", repr=False, metadata={"help": "Local home: the password to log in with."}
    )
    mail_from: str = field(default="", metadata={"help": "The sender's address of mail."})
    mail_to: str = field(
        default="", metadata={"help": "Who gets mail; addresses with commas between."}
    )
    mail_events: str = field(
        default="image.failed",
        metadata={"help": "The events that are mailed, with commas between."},
    )
    mail_every_s: int = field(
        default=900,
        metadata={"help": "Local home: the least time between two mails; what happens meanwhile "
                          "goes into the next one."},
    )  # fmt: skip
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
    stack: str = field(
        default="dandyroll",
        metadata={"help": "Commands that work on the AWS home: the name of its stack."},
    )
    bucket: str = field(default="", metadata={"help": "AWS home: the S3 bucket."})
    table: str = field(default="", metadata={"help": "AWS home: the DynamoDB table."})
    state_machine: str = field(
        default="",
        metadata={"help": "AWS home: the ARN of the state machine, to try images again."},
    )
    cdn: str = field(
        default="",
        metadata={"help": "AWS home: where in Parameter Store the CDN is told of. Empty: none."},
    )
    topic: str = field(
        default="", metadata={"help": "AWS home: the ARN of the SNS topic that events go to."}
    )

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            setting.check(getattr(self, setting.name), setting.env)
        self._check_mail()
        if self.public_url and not _is_http_url(self.public_url):
            raise BadSetting(
                f"{PREFIX}PUBLIC_URL: expected a URL of http or https with a host; "
                f"got {self.public_url!r}."
            )
        if self.otel_endpoint and not self.otel_endpoint.startswith(("http://", "https://")):
            raise BadSetting(
                f"{PREFIX}OTEL_ENDPOINT: expected a URL of http or https; "
                f"got {self.otel_endpoint!r}."
            )

    def _check_mail(self) -> None:
        try:
            parse_event_types(self.mail_events)
        except ValueError as error:
            raise BadSetting(f"{PREFIX}MAIL_EVENTS: {error}") from None
        for name in ("mail_from", "mail_to"):
            if self.smtp_host and not getattr(self, name):
                raise BadSetting(f"{PREFIX}{name.upper()}: expected an address, since "
                                 f"{PREFIX}SMTP_HOST is set; got none.")  # fmt: skip
        if self.smtp_password and self.smtp_security == "none" and not _is_here(self.smtp_host):
            raise BadSetting(f"{PREFIX}SMTP_SECURITY: expected starttls or tls, so that the "
                             "password is not sent in clear; got 'none'.")  # fmt: skip

    @property
    def limits(self) -> Limits:
        return Limits(self.max_pixels, self.max_animation_pixels, self.worker_memory_bytes)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] = os.environ,
        file: SettingsFile | None = None,
        **given: Any,
    ) -> Self:
        """The settings of the file, before them those of the environment, before those `given`.

        What is given as None is not given. Raises `BadSetting` for an unknown setting or an
        unusable value, wherever it stands and even where another goes before it.
        """
        table = {setting.env: setting for setting in SETTINGS}
        found = dict(file.values()) if file else {}
        for env, text in environ.items():
            if not env.startswith(PREFIX):
                continue
            if env not in table:
                raise BadSetting(f"{env}: no such setting.{_nearest(env, table)}")
            found[table[env].name] = table[env].from_text(text, env)
        found |= {name: value for name, value in given.items() if value is not None}
        return cls(**found)


def _nearest(name: str, table: Mapping[str, Setting]) -> str:
    near = difflib.get_close_matches(name, table, n=1)
    return f" Did you mean {near[0]}?" if near else f" There are: {', '.join(sorted(table))}."


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:  # such as http://[
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_here(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(
        f.name,
        Path if isinstance(f.default, Path) else type(f.default),
        f.default,
        f.metadata["help"],
        f.metadata.get("least", 0),
        f.metadata.get("one_of", ()),
        f.metadata.get("in_file", True),
    )
    for f in fields(Settings)
)

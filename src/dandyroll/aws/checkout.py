"""The checkout that the AWS home is deployed from, and what its template asks for.

A wheel has no template: what is deployed is built from sources and locks.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dandyroll
from dandyroll.settings import BadSetting

_PARAMETER = re.compile(r"^  (\w+):", re.MULTILINE)
_RESERVED = re.compile(r"^ +ReservedConcurrentExecutions: (\d+)", re.MULTILINE)
_LIMIT = re.compile(r"\b(Type|AllowedValues|AllowedPattern|MinValue|MaxValue): ")
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^,}\s]+')
_DEFAULT = re.compile(r'\bDefault: "?([^",}\n]*)')


@dataclass(frozen=True)
class Checkout:
    """The folder with `deploy/template.yaml`, and the template's text."""

    root: Path
    template: str = field(repr=False)

    @property
    def template_file(self) -> Path:
        return self.root / "deploy" / "template.yaml"

    def section(self, name: str) -> str:
        """The text under a key of the template's top level."""
        found = re.search(rf"^{name}:\n(.*?)(?=^\S)", self.template, re.MULTILINE | re.DOTALL)
        return found[1] if found else ""

    def parameters(self) -> dict[str, str]:
        """The template's parameters and their defaults."""
        defaults = {}
        for name, text in self._parameter_texts():
            found = _DEFAULT.search(text)
            defaults[name] = found[1].strip() if found else ""
        return defaults

    def limits(self) -> dict[str, dict[str, Any]]:
        """What the template says that a parameter's value must be, under the template's words."""
        limits: dict[str, dict[str, Any]] = {}
        for name, text in self._parameter_texts():
            limits[name] = {}
            for found in _LIMIT.finditer(text):
                value = _VALUE.match(text, found.end())
                if value:
                    limits[name][found[1]] = _read(value[0])
        return limits

    def _parameter_texts(self) -> Iterator[tuple[str, str]]:
        parts = _PARAMETER.split(self.section("Parameters"))[1:]
        return zip(parts[::2], parts[1::2], strict=True)

    def reserved(self, parameters: Mapping[str, str]) -> int:
        """How many concurrent executions the stack takes from the account for itself alone."""
        always = sum(map(int, _RESERVED.findall(self.template)))
        return always + sum(
            self.template.count(f"!Ref {name}, !Ref") * int(parameters[name])
            for name in ("ApiConcurrency", "StageConcurrency")
        )

    def logs_requests(self) -> bool:
        """Whether the gateway writes a log, for which the account must have given it a role."""
        return any(word in self.template for word in ("AccessLogSetting", "LoggingLevel"))


def _read(value: str) -> Any:
    """A value of the template's YAML: a list of strings, or one."""
    if value.startswith("["):
        return [part.strip().strip('"') for part in value[1:-1].split(",")]
    return json.loads(value) if value.startswith('"') else value


def find_checkout() -> Checkout:
    """The one this code runs from, else the one we are in; `BadSetting` where there is none."""
    for root in (Path(dandyroll.__file__).parents[2], Path.cwd()):
        file = root / "deploy" / "template.yaml"
        if file.is_file() and (root / "requirements-lambda.lock").is_file():
            return Checkout(root, file.read_text("utf-8"))
    raise BadSetting("Expected a checkout of Dandyroll with deploy/template.yaml; found none here.")

"""Policies: how a picture is resized, marked and encoded. Immutable, named by their content.

A job pins the id of its policy when the upload is accepted, so a change of policy never
changes an image half way. `BUILTIN` keeps every policy that was ever a default: pinned jobs
name them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from typing import Literal

from dandyroll.errors import UnknownPolicy

Position = Literal[
    "top-left", "top", "top-right",
    "left", "center", "right",
    "bottom-left", "bottom", "bottom-right",
]  # fmt: skip


_CAME_LATER = (
    ("", "keep_copyright", False),
    ("encoding", "gif_effort", 7),
    ("encoding", "avif_quality", 60),
    ("encoding", "avif_effort", 1),
)
"""Part, field, and the value that changes nothing for who was before it."""


@dataclass(frozen=True)
class Mark:
    """A picture laid over the resized image.

    `png` is the picture itself, with alpha. `scale_pct` is the mark's width in percent of the
    image's, `margin_pct` its distance from the edges in percent of the image's width,
    `opacity_pct` multiplies the mark's own alpha. A mark that does not fit is shrunk to fit.
    """

    png: bytes = field(repr=False)
    position: Position = "bottom-right"
    scale_pct: int = 20
    margin_pct: int = 2
    opacity_pct: int = 100

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.png).hexdigest()


@dataclass(frozen=True)
class Encoding:
    """How renditions are encoded. Qualities run from 1 to 100, as each library counts them."""

    jpeg_quality: int = 80
    png_compression: int = 3
    webp_quality: int = 80
    webp_effort: int = 4
    gif_effort: int = 7
    avif_quality: int = 60
    avif_effort: int = 1


@dataclass(frozen=True)
class Policy:
    """The box an image is made to fit (never enlarged), its mark and its encoding.

    With `keep_copyright` a rendition names the creator and the copyright that its original
    does; nothing else of the original's metadata is ever kept.
    """

    mark: Mark
    max_width_px: int = 1280
    max_height_px: int = 1280
    encoding: Encoding = Encoding()
    keep_copyright: bool = True

    @cached_property
    def id(self) -> str:
        """`policy-` and 16 hex digits of the SHA-256 of the canonical JSON.

        The mark's picture counts by its own hash, so the id changes with every pixel of it.
        A field that came later is left out where it says what was done before it came, so that
        the ids of earlier policies stay theirs.
        """
        facts = asdict(self)
        facts["mark"]["png"] = self.mark.sha256
        for part, name, before in _CAME_LATER:
            fields = facts[part] if part else facts
            if fields[name] == before:
                del fields[name]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return "policy-" + hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _default_mark() -> bytes:
    return files("dandyroll").joinpath("marks", "dandyroll.png").read_bytes()


DEFAULT = Policy(mark=Mark(png=_default_mark()))

_FIRST = replace(DEFAULT, keep_copyright=False)  # the default until credits were kept

BUILTIN: Mapping[str, Policy] = {policy.id: policy for policy in (DEFAULT, _FIRST)}


def find_policy(policy_id: str) -> Policy:
    """The policy of that id; `UnknownPolicy` if there is none."""
    try:
        return BUILTIN[policy_id]
    except KeyError:
        raise UnknownPolicy(f"Expected a known policy; got {policy_id}.") from None

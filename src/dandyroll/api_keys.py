"""API keys: a random secret that carries its own facts in clear.

A key reads `dr1O<owner>S<scopes>E<expiry>K<secret>`: lower case letters and digits are values,
capitals name them. Whoever can prove the value (the gateway's list of keys, or a stored hash)
knows the facts are ours, so the expiry is exact and needs no look-up.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from dandyroll.errors import NotFound

SCOPES = ("read", "write", "admin")

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # 32 letters: 5 bits each
_LENGTH = 32  # 160 bits
_KEY = re.compile(r"dr1O([a-z0-9]{1,32})S(r?w?a?)E([0-9]{10})K([a-z2-7]{32})")
NAME_DIGITS = 12


@dataclass(frozen=True)
class ApiKey:
    """The facts a key carries. `expires_at` is in epoch seconds; from then on it is refused."""

    owner: str
    scopes: frozenset[str]
    expires_at: int


@dataclass(frozen=True)
class StoredKey:
    """What is known of a key without having it; `name` is the first 12 digits of its hash.

    Times are in epoch seconds. `enabled` is false where somebody switched it off in the gateway.
    """

    name: str
    owner: str
    scopes: tuple[str, ...]
    expires_at: int
    created_at: int
    revoked_at: int | None
    enabled: bool = True

    def state(self, now: float) -> str:
        """`valid`, or why it is not: `expired` before all else, `revoked`, `disabled`."""
        if self.expires_at <= now:
            return "expired"
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if self.enabled else "disabled"


def mint_api_key(owner: str, scopes: frozenset[str], expires_at: int) -> str:
    """A new key's value, at most 84 characters (API Gateway takes 20 to 128).

    Raises `ValueError` when the owner is not 1 to 32 lower case letters and digits, a scope is
    unknown or there is none, or the expiry does not have ten digits.
    """
    unknown = scopes - set(SCOPES)
    if unknown or not scopes:
        raise ValueError(f"Expected scopes out of {', '.join(SCOPES)}; got {sorted(scopes)}.")
    if not 10**9 <= expires_at < 10**10:
        raise ValueError(f"Expected an expiry between 2001-09-09 and 2286-11-20; got {expires_at}.")
    letters = "".join(scope[0] for scope in in_order(scopes))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    value = f"dr1O{owner}S{letters}E{expires_at}K{secret}"
    if parse_api_key(value) is None:
        raise ValueError(f"Expected an owner of 1 to 32 letters a-z and digits; got {owner!r}.")
    return value


def parse_api_key(value: str) -> ApiKey | None:
    """What the key says of itself, or None if it is not one of ours."""
    match = _KEY.fullmatch(value)
    if match is None:
        return None
    owner, letters, expires_at, _ = match.groups()
    scopes = frozenset(scope for scope in SCOPES if scope[0] in letters)
    return ApiKey(owner, scopes, int(expires_at))


def hash_api_key(value: str) -> str:
    """What is stored in place of the key: 160 random bits need no slow hash."""
    return hashlib.sha256(value.encode()).hexdigest()


def name_of_api_key(value: str) -> str:
    """The name under which a key is listed."""
    return hash_api_key(value)[:NAME_DIGITS]


def in_order(scopes: frozenset[str]) -> tuple[str, ...]:
    """The scopes as they are listed."""
    return tuple(scope for scope in SCOPES if scope in scopes)


def one_meant(keys: Iterable[StoredKey], name_or_value: str) -> StoredKey:
    """The key of that name, or of that value; `NotFound` unless it is exactly one."""
    names = (name_or_value, name_of_api_key(name_or_value))
    meant = [key for key in keys if key.name in names]
    if len(meant) != 1:
        raise NotFound(f"Expected the name or value of one key; it names {len(meant)}.")
    return meant[0]

"""API keys: a random secret that carries its own facts in clear.

A key reads `dr1O<owner>S<scopes>E<expiry>K<secret>`: lower case letters and digits are values,
capitals name them. Whoever can prove the value (the gateway's list of keys, or a stored hash)
knows the facts are ours, so the expiry is exact and needs no look-up.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

SCOPES = ("read", "write", "admin")

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # 32 letters: 5 bits each
_LENGTH = 32  # 160 bits
_KEY = re.compile(r"dr1O([a-z0-9]{1,32})S(r?w?a?)E([0-9]{10})K([a-z2-7]{32})")


@dataclass(frozen=True)
class ApiKey:
    """The facts a key carries. `expires_at` is in epoch seconds; from then on it is refused."""

    owner: str
    scopes: frozenset[str]
    expires_at: int


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
    letters = "".join(scope[0] for scope in SCOPES if scope in scopes)
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

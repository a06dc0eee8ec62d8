"""Keys carry their facts in clear, and only whole ones are read."""

import pytest

from dandyroll.api_keys import SCOPES, ApiKey, hash_api_key, mint_api_key, parse_api_key


@pytest.mark.parametrize("scopes", [{"read"}, {"write", "read"}, set(SCOPES)])
def test_a_key_tells_what_it_was_minted_with(scopes: set[str]) -> None:
    value = mint_api_key("shop7", frozenset(scopes), 1_800_000_000)
    assert parse_api_key(value) == ApiKey("shop7", frozenset(scopes), 1_800_000_000)
    assert value.isalnum()
    assert 20 <= len(value) <= 128, "API Gateway takes no other"


def test_the_longest_key_still_fits_the_gateway() -> None:
    assert len(mint_api_key("x" * 32, frozenset(SCOPES), 9_999_999_999)) <= 128


def test_no_two_keys_are_alike() -> None:
    values = {mint_api_key("a", frozenset({"read"}), 1_800_000_000) for _ in range(100)}
    assert len({value[-32:] for value in values}) == 100
    assert len({hash_api_key(value) for value in values}) == 100


@pytest.mark.parametrize("owner", ["", "Shop", "a b", "x" * 33, "ü", "a-b"])
def test_an_owner_that_would_not_fit_is_refused(owner: str) -> None:
    with pytest.raises(ValueError, match="owner"):
        mint_api_key(owner, frozenset({"read"}), 1_800_000_000)


@pytest.mark.parametrize(("before", "cut", "after"), [("", 1, ""), ("", 0, "a"), (" ", 0, "")])
def test_a_damaged_key_is_no_key(before: str, cut: int, after: str) -> None:
    value = mint_api_key("a", frozenset({"read"}), 1_800_000_000)
    assert parse_api_key(before + value[: len(value) - cut] + after) is None

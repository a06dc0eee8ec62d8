"""Trace ids: the caller's where it sent a good one, ours otherwise, one form for OpenTelemetry."""

import re

import pytest

from dandyroll.trace_id import as_w3c, mint_trace_id, parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("sent", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"])
def test_the_callers_ids_are_taken(sent: str) -> None:
    assert parse_traceparent({"traceparent": sent}) == (TRACE, SPAN)


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent({"traceparent": f"01-{TRACE}-{SPAN}-01-more"}) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        TRACE,
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0",
    ],
)
def test_a_header_that_breaks_a_rule_is_as_good_as_none(sent: str) -> None:
    assert parse_traceparent({"traceparent": sent}) is None


def test_a_minted_id_is_one_of_the_w3c() -> None:
    minted = mint_trace_id()
    assert parse_traceparent({"traceparent": f"00-{minted}-{SPAN}-01"}) == (minted, SPAN)
    assert minted != mint_trace_id()


def test_every_homes_id_has_one_w3c_form() -> None:
    assert as_w3c(TRACE) == TRACE
    assert as_w3c("1-68db0a4b-0123456789abcdef01234567") == "68db0a4b0123456789abcdef01234567"
    assert as_w3c("c6af9ac6-7b61-11e6-9a41-93e8deadbeef") == "c6af9ac67b6111e69a4193e8deadbeef"
    odd = as_w3c("anything else")
    assert re.fullmatch("[0-9a-f]{32}", odd)
    assert as_w3c("anything else") == odd

"""What every catalogue promises (`ports.Catalogue`)."""

import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dandyroll.errors import Conflict, NotFound
from dandyroll.models import SETTLED, Box, Changes, Claim, Rendition, Row, Status
from dandyroll.ports import Home

RENDITION = Rendition(
    key="FINAL-IMAGES/x.png",
    width=1280,
    height=720,
    size_bytes=2**40,
    content_type="image/png",
    etag="e" * 64,
    mark=Box(1, 2, 3, 4),
)


def new_row(status: Status = "uploaded") -> Row:
    image_id = f"test-{uuid.uuid4().hex}.png"
    return Row(
        image_id=image_id,
        bucket="bucket",
        content_type="image/png",
        created_date="2025-09-29T22:29:31.045Z",
        height=3000,
        image_format="PNG",
        s3_url=f"https://example.com/{image_id}",
        size_bytes=12_345_678,
        uploaded_at=1_759_184_971,
        width=4000,
        owner="someone",
        sha256="0" * 64,
        policy="policy-0123456789abcdef",
        status=status,
        ledger={"trace_id": "abc"},
    )


def test_a_row_comes_back_as_it_was(home: Home) -> None:
    row = new_row()
    home.catalogue.create(row)
    assert home.catalogue.get(row.image_id) == row


def test_numbers_come_back_as_whole_numbers(home: Home) -> None:
    row = new_row()
    home.catalogue.create(row)
    home.catalogue.advance(row.image_id, "processed", Changes(processed=RENDITION))
    found = home.catalogue.get(row.image_id)
    assert found.processed == RENDITION
    numbers = (found.width, found.uploaded_at, found.processed.size_bytes, found.processed.mark.top)
    assert {type(number) for number in numbers} == {int}


def test_an_absent_row_is_not_found(home: Home) -> None:
    with pytest.raises(NotFound):
        home.catalogue.get("test-nothing.png")
    with pytest.raises(NotFound):
        home.catalogue.advance("test-nothing.png", "processed", Changes())


def test_an_id_is_taken_once(home: Home) -> None:
    row = new_row()
    home.catalogue.create(row)
    with pytest.raises(Conflict):
        home.catalogue.create(row)
    with pytest.raises(Conflict):
        home.catalogue.create(replace(row, owner="else"))
    assert home.catalogue.get(row.image_id) == row


def test_the_same_upload_may_be_awaited_again(home: Home) -> None:
    row = new_row("awaiting")
    home.catalogue.create(row)
    home.catalogue.create(row)
    for other in (replace(row, owner="else"), replace(row, sha256="1" * 64)):
        with pytest.raises(Conflict):
            home.catalogue.create(other)
    assert home.catalogue.get(row.image_id).status == "awaiting"


def test_of_racing_creators_one_wins(home: Home) -> None:
    row = new_row()

    def create(number: int) -> int | None:
        try:
            home.catalogue.create(replace(row, owner=f"owner{number}"))
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        winners = [won for won in threads.map(create, range(24)) if won is not None]
    assert len(winners) == 1
    assert home.catalogue.get(row.image_id).owner == f"owner{winners[0]}"


def test_a_settled_row_moves_in_as_it_is(home: Home) -> None:
    for status in SETTLED:
        row = replace(new_row(status), processed=RENDITION if status == "processed" else None)
        home.catalogue.move_in(row)
        assert home.catalogue.get(row.image_id) == row
        assert row in home.catalogue.list(row.owner, None, 500, "").rows


@pytest.mark.parametrize("standing", ["awaiting", "uploaded", "processed"])
def test_no_row_moves_in_where_there_is_one(home: Home, standing: Status) -> None:
    row = new_row(standing)
    home.catalogue.create(row)
    for moving in (row, replace(row, owner="else", status="processed")):
        with pytest.raises(Conflict):
            home.catalogue.move_in(moving)
    assert home.catalogue.get(row.image_id) == row


def test_a_row_moves_on_with_its_changes(home: Home) -> None:
    row = new_row()
    home.catalogue.create(row)
    seen = Changes(has_transparency=False, mode="P", ledger={"cpu_ms": 7})
    resized = home.catalogue.advance(row.image_id, "resized", seen)
    assert resized == home.catalogue.get(row.image_id)
    assert (resized.status, resized.has_transparency, resized.mode) == ("resized", False, "P")
    assert resized.ledger == {"trace_id": "abc", "cpu_ms": 7}
    done = Changes(processed=RENDITION, ledger={"cpu_ms": 9})
    processed = home.catalogue.advance(row.image_id, "processed", done)
    assert processed.ledger == {"trace_id": "abc", "cpu_ms": 9}
    assert (processed.mode, processed.processed) == ("P", RENDITION)


@pytest.mark.parametrize(
    ("first", "late", "stands"),
    [
        ("processed", "resized", "processed"),
        ("processed", "failed", "processed"),
        ("processed", "processed", "processed"),
        ("failed", "resized", "failed"),
        ("resized", "uploaded", "resized"),
        ("failed", "processed", "processed"),
    ],
)
def test_a_late_status_never_undoes_a_higher_one(
    home: Home, first: Status, late: Status, stands: Status
) -> None:
    row = new_row()
    home.catalogue.create(row)
    home.catalogue.advance(row.image_id, first, Changes(mode=first))
    returned = home.catalogue.advance(row.image_id, late, Changes(mode=late))
    assert returned == home.catalogue.get(row.image_id)
    assert (returned.status, returned.mode) == (stands, stands)


def test_racing_moves_end_at_the_highest(home: Home) -> None:
    row = new_row()
    home.catalogue.create(row)
    moves: list[Status] = ["resized", "failed", "processed"] * 6
    random.Random(3).shuffle(moves)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda s: home.catalogue.advance(row.image_id, s, Changes(mode=s)), moves))
    found = home.catalogue.get(row.image_id)
    assert (found.status, found.mode) == ("processed", "processed")


NOW = int(time.time())


def new_claim() -> Claim:
    return Claim(
        owner="someone",
        key=f"key {uuid.uuid4()}!",
        holder="me",
        fingerprint="f" * 64,
        image_id="mine.png",
        lease_until=NOW + 30,
        expires_at=NOW + 86_400,
    )


def test_a_free_key_is_claimed(home: Home) -> None:
    claim = new_claim()
    assert home.catalogue.claim(claim, NOW) == claim


def test_a_claim_stands_while_its_lease_runs(home: Home) -> None:
    claim = new_claim()
    home.catalogue.claim(claim, NOW)
    other = replace(claim, holder="you", image_id="yours.png")
    assert home.catalogue.claim(other, NOW + 29) == claim


def test_a_broken_off_upload_is_taken_over_under_its_id(home: Home) -> None:
    claim = new_claim()
    home.catalogue.claim(claim, NOW)
    later = NOW + 30
    other = replace(
        claim, holder="you", image_id="yours.png", lease_until=later + 30, expires_at=later + 86_400
    )
    taken = home.catalogue.claim(other, later)
    assert taken == replace(other, image_id="mine.png", expires_at=claim.expires_at)


def test_another_body_never_takes_over(home: Home) -> None:
    claim = new_claim()
    home.catalogue.claim(claim, NOW)
    other = replace(claim, holder="you", fingerprint="0" * 64)
    assert home.catalogue.claim(other, NOW + 60) == claim


def test_a_key_is_free_again_after_a_day(home: Home) -> None:
    claim = new_claim()
    home.catalogue.claim(claim, NOW)
    fresh = replace(claim, holder="you", fingerprint="0" * 64, image_id="yours.png")
    assert home.catalogue.claim(fresh, claim.expires_at) == fresh


def test_owners_do_not_share_keys(home: Home) -> None:
    claim = new_claim()
    other = replace(claim, owner="else", image_id="yours.png")
    home.catalogue.claim(claim, NOW)
    assert home.catalogue.claim(other, NOW) == other


def test_a_released_claim_can_be_taken_at_once(home: Home) -> None:
    claim = new_claim()
    home.catalogue.claim(claim, NOW)
    other = replace(claim, holder="you")
    home.catalogue.release(other)  # not the holder: nothing happens
    assert home.catalogue.claim(other, NOW) == claim
    home.catalogue.release(claim)
    assert home.catalogue.claim(other, NOW).holder == "you"


def test_of_racing_claims_one_holds(home: Home) -> None:
    claim = new_claim()

    def take(number: int) -> str:
        wanted = replace(claim, holder=str(number), image_id=f"{number}.png")
        return home.catalogue.claim(wanted, NOW).holder

    with ThreadPoolExecutor(8) as threads:
        holders = set(threads.map(take, range(24)))
    assert len(holders) == 1

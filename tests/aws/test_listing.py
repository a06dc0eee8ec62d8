"""The walk through the index: every row once, newest first, in a bounded number of questions."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws import listing, table
from dandyroll.aws.catalogue import DynamoCatalogue
from dandyroll.aws.table import INDEX, KEY, PARTITION, PLACE, Table
from dandyroll.models import Changes, Row, Status
from tests.aws.test_template import of
from tests.contract.test_catalogue import new_claim, new_row

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

DAYS = ("2024-12-31", "2025-01-01", "2025-03-07", "2026-02-28", "2026-03-01")


class CountedTable(Table):
    """Counts the questions it asks of the index."""

    asked = 0

    def older(self, *arguments: Any) -> tuple[list[dict[str, Any]], str]:
        self.asked += 1
        return super().older(*arguments)


@pytest.fixture
def counted(emulated_home: "EmulatedHome") -> Iterator[CountedTable]:
    """A table of its own, as the template has it."""
    dynamodb, name = emulated_home.emulator.client("dynamodb"), f"list-{uuid.uuid4().hex}"
    about = of("Table")
    dynamodb.create_table(
        TableName=name,
        **{part: about[part] for part in ("BillingMode", "AttributeDefinitions", "KeySchema",
                                          "GlobalSecondaryIndexes")},
    )  # fmt: skip
    yield CountedTable(name, emulated_home.emulator.cloud)
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def catalogue(counted: CountedTable) -> DynamoCatalogue:
    return DynamoCatalogue(counted)


def row_of(moment: str, owner: str = "me", status: Status = "uploaded") -> Row:
    return replace(new_row(status), created_date=moment, owner=owner)


def fill(catalogue: DynamoCatalogue, count: int, seed: int = 0) -> list[Row]:
    """So many rows of two owners on five days, some of the same millisecond; newest first."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        moment = f"{chance.choice(DAYS)}T10:00:0{chance.randrange(10)}.000Z"
        status: Status = chance.choice(("uploaded", "failed"))
        rows.append(row_of(moment, chance.choice(("me", "you")), status))
        catalogue.create(rows[-1])
    return in_order(rows)


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.created_date, row.image_id), reverse=True)


def walk(
    catalogue: DynamoCatalogue,
    owner: str | None = None,
    status: Status | None = None,
    limit: int = 7,
    cursor: str | None = "",
) -> list[Row]:
    found: list[Row] = []
    while cursor is not None:
        page = catalogue.list(owner, status, limit, cursor)
        assert len(page.rows) <= limit
        found += page.rows
        cursor = page.cursor
    return found


def test_an_empty_catalogue_is_one_question(
    catalogue: DynamoCatalogue, counted: CountedTable
) -> None:
    assert catalogue.list(None, None, 10, "").cursor is None
    assert counted.asked == 1


@pytest.mark.parametrize("rounds", [30, 2])
@pytest.mark.parametrize("look", [1000, 3])
def test_a_walk_meets_each_row_once_in_order(
    catalogue: DynamoCatalogue, monkeypatch: pytest.MonkeyPatch, rounds: int, look: int
) -> None:
    """However little a question may look at, and a page may ask."""
    monkeypatch.setattr(listing, "_ROUNDS", rounds)
    monkeypatch.setattr(listing, "_LOOK", look)
    rows = fill(catalogue, 60)
    for limit in (1, 7, 500):
        assert walk(catalogue, limit=limit) == rows
    assert walk(catalogue, "me") == [row for row in rows if row.owner == "me"]
    assert walk(catalogue, None, "failed") == [row for row in rows if row.status == "failed"]
    both = [row for row in rows if (row.owner, row.status) == ("you", "failed")]
    assert walk(catalogue, "you", "failed", 2) == both
    assert walk(catalogue, "nobody") == []


def test_a_page_asks_no_more_than_it_may(
    catalogue: DynamoCatalogue, counted: CountedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_ROUNDS", 3)
    fill(catalogue, 40)
    counted.asked = 0
    page = catalogue.list(None, "processed", 10, "")
    assert (page.rows, counted.asked) == ((), 1 + 3 * 10)
    assert page.cursor is not None
    assert walk(catalogue, None, "processed", cursor=page.cursor) == []


def test_days_without_images_cost_nothing(
    catalogue: DynamoCatalogue, counted: CountedTable
) -> None:
    """Ten years lie between the two, and nobody knows what before the first."""
    rows = [row_of("2025-01-01T00:00:00.000Z"), row_of("2015-01-01T00:00:00.000Z")]
    for row in [*rows, row_of("2020-01-01T00:00:00.000Z", "you")]:
        catalogue.create(row)
    counted.asked = 0
    assert catalogue.list("me", None, 10, "").rows == tuple(rows)
    assert counted.asked == 1 + 2 * 10


def test_what_is_added_meanwhile_does_not_disturb_a_walk(catalogue: DynamoCatalogue) -> None:
    rows = fill(catalogue, 20)
    page = catalogue.list(None, None, 8, "")
    newer = row_of("2026-11-11T00:00:00.000Z")
    catalogue.create(newer)
    assert [*page.rows, *walk(catalogue, cursor=page.cursor)] == rows
    assert walk(catalogue) == [newer, *rows]


def test_what_is_deleted_meanwhile_is_not_listed(catalogue: DynamoCatalogue) -> None:
    rows = fill(catalogue, 20)
    page = catalogue.list(None, None, 8, "")
    catalogue.delete(page.rows[-1].image_id)  # the row the cursor was made of
    catalogue.delete(rows[-1].image_id)
    assert walk(catalogue, cursor=page.cursor) == rows[8:-1]


def test_a_status_is_the_rows_and_not_the_indexes(
    catalogue: DynamoCatalogue, counted: CountedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is a moment behind; where it lags, the row's own status counts."""
    row = row_of("2026-01-01T00:00:00.000Z")
    catalogue.create(row)
    find_all = Table.find_all

    def find_later(self: Table, keys: list[str]) -> dict[str, dict[str, Any]]:
        catalogue.advance(row.image_id, "processed", Changes())
        return find_all(self, keys)

    monkeypatch.setattr(CountedTable, "find_all", find_later)
    assert catalogue.list(None, "uploaded", 10, "").rows == ()
    assert [found.status for found in catalogue.list(None, None, 10, "").rows] == ["processed"]


def test_claims_and_days_are_not_listed(
    catalogue: DynamoCatalogue, emulated_home: "EmulatedHome", counted: CountedTable
) -> None:
    claim = new_claim()
    catalogue.claim(claim, claim.lease_until)
    (row,) = fill(catalogue, 1)
    assert walk(catalogue) == [row]
    dynamodb = emulated_home.emulator.client("dynamodb")
    items = dynamodb.scan(TableName=counted._name, IndexName=INDEX)["Items"]
    kinds = {item[KEY]["S"].partition("#")[0] for item in items}
    assert kinds == {row.image_id, "days"}
    of_row = [item for item in items if item[KEY]["S"] == row.image_id]
    assert set(of_row[0]) == {KEY, PARTITION, PLACE, "owner", "status"}


def test_the_ten_shards_share_the_rows() -> None:
    shards = [listing.index_key(new_row())[PARTITION] for _ in range(2000)]
    counts = {shard: shards.count(shard) for shard in shards}
    assert len(counts) == 10
    assert min(counts.values()) > 120


def test_more_rows_than_one_question_gives(
    catalogue: DynamoCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_BATCH", 4)
    rows = fill(catalogue, 30)
    assert list(catalogue.list(None, None, 500, "").rows) == rows

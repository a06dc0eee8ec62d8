"""`verify` and `restore` on AWS: every way in which table and bucket can be out of step."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dandyroll.aws.cloud import Cloud
from dandyroll.aws.home import open_upkeep
from dandyroll.aws.restore import restore_rows
from dandyroll.aws.sweep import sweep
from dandyroll.aws.table import PLACE, Table
from dandyroll.aws.upkeep import Upkeep
from dandyroll.aws.verify import Care, verify
from dandyroll.cli import main
from dandyroll.findings import Finding
from dandyroll.intake import ADOPTED_OWNER, awaited_row
from dandyroll.keys import original_key
from dandyroll.models import Row
from tests import pictures
from tests.aws.emulator import STACK
from tests.aws.test_flow import settled, straight
from tests.aws.test_stack import operators_shell
from tests.contract.client import Client
from tests.contract.test_tickets import put, ticket

if TYPE_CHECKING:
    from tests.aws.emulated_home import EmulatedHome

LOOK, READ, REPAIR = Care(), Care(read=True), Care(repair=True)


@pytest.fixture
def upkeep(emulated_home: "EmulatedHome") -> Upkeep:
    """The home as `verify` has it, in which a second is old enough."""
    settings = replace(emulated_home.settings, sweep_min_age_s=0)
    return open_upkeep(settings, emulated_home.emulator.cloud)


@pytest.fixture
def row(emulated_home: "EmulatedHome") -> Row:
    return processed(emulated_home)


def processed(aws: "EmulatedHome") -> Row:
    image_id = straight("png")
    aws.put_original(original_key(image_id), pictures.png(), "image/png")
    found = settled(aws, image_id, timeout_s=20)
    assert found.status == "processed"
    return found


def about(upkeep: Upkeep, row: Row, care: Care) -> list[Finding]:
    """What is found of one image: other tests leave things of their own behind."""
    return [finding for finding in verify(upkeep, care) if row.image_id in finding.what]


def kinds(upkeep: Upkeep, row: Row, care: Care = LOOK) -> list[str]:
    return [finding.kind for finding in about(upkeep, row, care)]


def test_what_is_in_order_is_not_told(upkeep: Upkeep, row: Row) -> None:
    assert about(upkeep, row, READ) == []


def spoil(upkeep: Upkeep, key: str) -> None:
    """As many bytes as before, and one of them another."""
    data = bytearray(upkeep.objects.get(key))
    data[-1] ^= 1
    upkeep.objects.put(key, bytes(data), "image/png")


def rendition_key(row: Row) -> str:
    assert row.processed is not None
    return row.processed.key


MENDED: Mapping[str, tuple[Care, Callable[[Upkeep, Row], Any]]] = {
    "rendition-missing": (LOOK, lambda u, r: u.objects.delete(rendition_key(r))),
    "rendition-changed": (READ, lambda u, r: spoil(u, rendition_key(r))),
    "row-unlisted": (
        LOOK,
        lambda u, r: u.table.update(r.image_id, {PLACE: "lost"}, {"status": r.status}),
    ),
}


@pytest.mark.parametrize("kind", MENDED)
def test_what_can_be_put_right_is(
    emulated_home: "EmulatedHome", upkeep: Upkeep, row: Row, kind: str
) -> None:
    care, damage = MENDED[kind]
    before = upkeep.objects.get(rendition_key(row))
    damage(upkeep, row)
    assert kinds(upkeep, row, care) == [kind]
    (mended,) = about(upkeep, row, replace(care, repair=True))
    assert mended.repaired
    after = settled(emulated_home, row.image_id, timeout_s=20)
    assert after.status == "processed"
    assert upkeep.objects.get(rendition_key(row)) == before
    assert kinds(upkeep, row, READ) == []


LOST: Mapping[str, tuple[Care, Callable[[Upkeep, Row], Any]]] = {
    "original-missing": (LOOK, lambda u, r: u.objects.delete(original_key(r.image_id))),
    "original-changed": (
        LOOK,
        lambda u, r: u.table.update(r.image_id, {"size_bytes": 1}, {"status": r.status}),
    ),
    "row-unreadable": (
        LOOK,
        lambda u, r: u.table.update(r.image_id, {"x": 1}, {"status": r.status}, gone={"bucket"}),
    ),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_cannot_is_told_and_left(upkeep: Upkeep, row: Row, kind: str) -> None:
    care, damage = LOST[kind]
    damage(upkeep, row)
    assert kinds(upkeep, row, care) == [kind]
    item = upkeep.table.find(row.image_id)
    assert [finding.repaired for finding in about(upkeep, row, REPAIR)] == [None]
    assert upkeep.table.find(row.image_id) == item
    upkeep.table.delete(row.image_id)  # other tests read whatever there is


def test_a_row_of_nothing_is_forgotten_only_when_asked(upkeep: Upkeep, row: Row) -> None:
    for key in (original_key(row.image_id), rendition_key(row)):
        upkeep.objects.delete(key)
    assert kinds(upkeep, row, REPAIR) == ["image-gone"]
    assert upkeep.table.find(row.image_id) is not None
    (forgotten,) = about(upkeep, row, Care(forget=True))
    assert forgotten.repaired == "its row was removed"
    assert upkeep.table.find(row.image_id) is None


def test_what_has_no_row_is_adopted_or_removed(
    emulated_home: "EmulatedHome", upkeep: Upkeep, row: Row
) -> None:
    upkeep.table.delete(row.image_id)
    found = {finding.kind: finding for finding in about(upkeep, row, LOOK)}
    assert found.keys() == {"original-ownerless", "rendition-ownerless"}
    upkeep.objects.delete(rendition_key(row))
    (adopted,) = about(upkeep, row, REPAIR)
    assert adopted.repaired
    assert settled(emulated_home, row.image_id, timeout_s=20).status == "processed"
    image_id = straight("png")  # of one image there may be several renditions
    for orphan in (f"FINAL-IMAGES/{image_id}", f"FINAL-IMAGES/small/{image_id}"):
        upkeep.objects.put(orphan, b"left", "image/png")
        (removed,) = [f for f in verify(upkeep, REPAIR) if f.what == orphan]
        assert (removed.kind, removed.repaired) == ("rendition-ownerless", "removed")
        assert upkeep.objects.find(orphan) is None
    for orphan in (f"FINAL-IMAGES/{image_id}", f"FINAL-IMAGES/small/{image_id}"):
        upkeep.objects.put(orphan, b"left", "image/png")
    assert len([f for f in verify(upkeep, REPAIR) if image_id in f.what]) == 2


# --- restore


@pytest.fixture
def restored_table(emulated_home: "EmulatedHome") -> Iterator[str]:
    """An empty table, as point-in-time recovery would make and fill one."""
    client = emulated_home.emulator.client("dynamodb")
    name = f"restored-{uuid.uuid4()}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "image-id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "image-id", "KeyType": "HASH"}],
    )
    yield name
    client.delete_table(TableName=name)


def test_rows_come_back_whose_image_is_there(
    emulated_home: "EmulatedHome", upkeep: Upkeep, restored_table: str
) -> None:
    there, lost, deleted = (processed(emulated_home) for _ in range(3))
    source = Table(restored_table, emulated_home.emulator.cloud)
    for row in (there, lost, deleted):
        item = upkeep.table.find(row.image_id)
        assert item is not None
        assert source.put(item, seen=None)
    assert source.put({"image-id": "claim#someone#abc", "lease-until": 0}, seen=None)
    assert source.put({"image-id": "no-row.png"}, seen=None)
    upkeep.table.delete(lost.image_id)
    for key in (original_key(deleted.image_id), rendition_key(deleted)):
        upkeep.objects.delete(key)
    upkeep.table.delete(deleted.image_id)
    for lost_outcome in ("restored", "kept"):  # a second run does nothing more
        outcomes = {done.image_id: done.outcome for done in restore_rows(upkeep, source)}
        assert outcomes == {
            there.image_id: "kept",
            lost.image_id: lost_outcome,
            deleted.image_id: "gone",
            "no-row.png": "unreadable",
        }
    assert upkeep.catalogue.get(lost.image_id) == lost
    assert kinds(upkeep, lost, READ) == []


def test_an_image_that_was_adopted_meanwhile_gets_its_owner_back(
    emulated_home: "EmulatedHome", upkeep: Upkeep, restored_table: str
) -> None:
    client = Client.new(emulated_home)
    image_id = client.upload(pictures.png(), "image/png")
    owned = settled(emulated_home, image_id, timeout_s=20)
    source = Table(restored_table, emulated_home.emulator.cloud)
    item = upkeep.table.find(image_id)
    assert item is not None
    assert source.put(item, seen=None)
    upkeep.table.delete(image_id)
    assert client.processed(image_id).status == 404
    sweep(upkeep, int(time.time()) + 1, every_key=True)
    adopted = settled(emulated_home, image_id, timeout_s=20)
    assert (adopted.owner, adopted.status) == (ADOPTED_OWNER, "processed")
    assert [done.outcome for done in restore_rows(upkeep, source)] == ["restored"]
    assert upkeep.catalogue.get(image_id) == owned
    assert client.row(image_id) == owned.to_json()
    assert kinds(upkeep, owned, READ) == []


def test_a_deleted_ticket_stays_deleted(
    emulated_home: "EmulatedHome", upkeep: Upkeep, restored_table: str
) -> None:
    row = awaited_row(emulated_home.home, "image/png", 10, "someone", "trace")
    source = Table(restored_table, emulated_home.emulator.cloud)
    assert source.put(row.to_json(), seen=None)
    assert [done.outcome for done in restore_rows(upkeep, source)] == ["gone"]


def test_bytes_that_were_refused_are_not_missed(
    emulated_home: "EmulatedHome", upkeep: Upkeep
) -> None:
    client, data = Client.new(emulated_home), pictures.png()[:60]
    given = ticket(client, len(data))
    assert put(client, given, data).status == 200
    row = settled(emulated_home, given["image_id"], timeout_s=20)
    assert row.status == "failed"
    assert kinds(upkeep, row) == []
    assert "refused" in client.original(row.image_id).json["message"]


def test_the_commands(
    emulated_home: "EmulatedHome",
    upkeep: Upkeep,
    row: Row,
    restored_table: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in operators_shell(emulated_home).items():
        monkeypatch.setenv(name, value)
    orphan = f"FINAL-IMAGES/{straight('png')}"
    upkeep.objects.put(orphan, b"left", "image/png")
    other_table = "of-something-else"
    emulated_home.emulator.client("dynamodb").create_table(
        TableName=other_table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    # As operators have it: what is younger than ten minutes is passed over.
    main(["verify", "--aws", "--stack", STACK, "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert not [f for f in found if f["what"] in (orphan, row.image_id)]
    assert main(["restore", "--aws", "--from", restored_table, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out).values()) == {0}
    own = emulated_home.outputs["TableName"]
    for wrong in (
        ["restore", "--aws", "--from", own],
        ["restore", "--aws", "--from", restored_table, "--data", "/nowhere"],
        ["restore", "--from", restored_table],
        ["verify", "--forget"],
        ["verify", "--aws", "--stack", STACK, "--data", "/nowhere"],
        ["verify", "--aws", "--stack", STACK, "--config", "/nowhere"],
        ["verify", "--stack", STACK],
        ["restore", "--aws", "--from", "no-such-table"],
        ["restore", "--aws", "--from", ""],
        ["restore", "--aws", "--from", other_table],
    ):
        assert main(wrong) == 2
        assert "dandyroll: " in capsys.readouterr().err


def test_a_shell_leads_to_the_cloud(emulated_home: "EmulatedHome") -> None:
    assert Cloud.from_env(operators_shell(emulated_home)) == emulated_home.emulator.cloud

"""What every object store promises (`ports.ObjectStore`)."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from dandyroll.errors import Conflict, NotFound
from dandyroll.fingerprint import Fingerprint
from dandyroll.ports import Home

BYTES = "application/octet-stream"


@pytest.fixture
def prefix(home: Home) -> str:
    """A folder that starts no pipeline, and that no other test has."""
    return f"FINAL-IMAGES/test-{uuid.uuid4().hex}/"


def test_what_was_put_is_got(home: Home, prefix: str) -> None:
    for number, data in enumerate((b"", b"\0\xff" * 5, b"x" * 3_000_000)):
        key = f"{prefix}{number}"
        home.objects.put(key, data, BYTES)
        assert home.objects.get(key) == data


def test_put_replaces_the_whole_object(home: Home, prefix: str) -> None:
    home.objects.put(prefix + "a", b"long before", BYTES)
    home.objects.put(prefix + "a", b"short", BYTES)
    assert home.objects.get(prefix + "a") == b"short"


def test_an_absent_object_is_not_found(home: Home, prefix: str) -> None:
    with pytest.raises(NotFound):
        home.objects.get(prefix + "nothing")


def test_a_folder_is_not_an_object(home: Home, prefix: str) -> None:
    home.objects.put(prefix + "in/side", b"1", BYTES)
    with pytest.raises(NotFound):
        home.objects.get(prefix + "in")


def test_put_if_absent_leaves_what_is_there(home: Home, prefix: str) -> None:
    home.objects.put(prefix + "a", b"first", BYTES, if_absent=True)
    with pytest.raises(Conflict):
        home.objects.put(prefix + "a", b"second", BYTES, if_absent=True)
    assert home.objects.get(prefix + "a") == b"first"


def test_of_racing_creators_one_wins(home: Home, prefix: str) -> None:
    def create(number: int) -> int | None:
        try:
            home.objects.put(prefix + "a", str(number).encode(), BYTES, if_absent=True)
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        winners = [won for won in threads.map(create, range(24)) if won is not None]
    assert len(winners) == 1
    assert home.objects.get(prefix + "a") == str(winners[0]).encode()


def test_a_fingerprint_tells_bytes_apart(home: Home, prefix: str) -> None:
    for name, data in (("a", b"one"), ("b", b"two"), ("c", b"longer"), ("d", b""), ("e", b"one")):
        home.objects.put(prefix + name, data, BYTES)
    found = {name: home.objects.fingerprint(prefix + name) for name in "abcde"}
    assert found["a"].matches(Fingerprint.of(b"one")) is True
    assert found["a"].matches(found["e"]) is True
    assert found["d"].matches(Fingerprint.of(b"")) is True
    assert found["a"].matches(Fingerprint.of(b"two")) is not True
    assert found["a"].matches(found["c"]) is False
    with pytest.raises(NotFound):
        home.objects.fingerprint(prefix + "nothing")


def test_deleting_what_is_absent_succeeds(home: Home, prefix: str) -> None:
    home.objects.put(prefix + "a", b"1", BYTES)
    home.objects.delete(prefix + "a")
    home.objects.delete(prefix + "a")
    home.objects.delete(prefix + "never/was")
    with pytest.raises(NotFound):
        home.objects.get(prefix + "a")


def test_list_gives_the_keys_in_order(home: Home, prefix: str) -> None:
    for name in ("b", "a", "c/d", "a-b"):
        home.objects.put(prefix + name, b"1", BYTES)
    assert list(home.objects.list(prefix)) == [prefix + n for n in ("a", "a-b", "b", "c/d")]
    assert list(home.objects.list(prefix + "a")) == [prefix + "a", prefix + "a-b"]
    assert list(home.objects.list(prefix + "nothing")) == []


def test_a_reader_sees_the_old_object_or_the_new(home: Home, prefix: str) -> None:
    contents = [bytes([letter]) * 1_000_000 for letter in b"ab"]
    home.objects.put(prefix + "a", contents[0], BYTES)
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            home.objects.put(prefix + "a", contents[number % 2], BYTES)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(home.objects.get(prefix + "a"))
    writer.join()
    assert seen <= set(contents)

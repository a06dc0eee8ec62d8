"""Webhooks of a real server: what a person sets up, and what kills and outages do to it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from dandyroll.events import NotDelivered, new_event
from dandyroll.local.database import Database
from dandyroll.local.delivery_log import backlog, list_deliveries
from dandyroll.local.receivers import add_webhook
from dandyroll.local.webhook import Webhook, sign
from tests import pictures
from tests.contract.client import Client
from tests.local.mail_server import MailServer
from tests.local.receiver import Got, Receiver, verify
from tests.local.served_home import ServedHome, free_port
from tests.local.test_chaos import assert_survives
from tests.local.test_cli import dandyroll

DOC = Path(__file__).parents[2] / "docs" / "webhooks.md"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedHome:
    monkeypatch.setenv("DANDYROLL_RETRY_FIRST_S", "1")
    monkeypatch.setenv("DANDYROLL_RETRY_MAX_S", "2")
    monkeypatch.setenv("DANDYROLL_WEBHOOK_TIMEOUT_S", "5")
    return ServedHome(tmp_path, workers=1)


def ids_of(receiver: Receiver) -> Counter[str]:
    return Counter(got.event["data"]["image-id"] for got in receiver.got)


def test_owners_hear_of_their_own_images(served: ServedHome) -> None:
    try:
        served.start()
        shop, news = Client.new(served), Client.new(served)
        with Receiver() as shops, Receiver() as all_:
            secret = add_webhook(served.database, shops.url, shop.owner).secret
            add_webhook(served.database, all_.url)
            good = shop.upload(pictures.jpeg())
            bad = news.upload(pictures.broken_png(), "image/png")
            by_id = {got.event["data"]["image-id"]: got for got in all_.wait_for(2)}
            (own,) = shops.wait_for(1)
            assert set(by_id) == {good, bad}
            assert own.event == by_id[good].event
            verify(own, secret)
            assert own.event["type"] == "image.processed"
            assert own.event["data"] == shop.row(good)
            failed = by_id[bad].event
            assert failed["type"] == "image.failed"
            assert failed["data"]["error"]["code"] == news.row(bad)["error"]["code"]
    finally:
        served.close()


def test_a_receiver_that_is_down_gets_everything_once_it_is_up(served: ServedHome) -> None:
    """The hour of `test_notify.py`, in seconds and with a real server."""
    try:
        served.start()
        client, receiver = Client.new(served), Receiver()
        secret = add_webhook(served.database, receiver.url).secret
        ids = [client.upload(pictures.jpeg(400, 300, seed)) for seed in range(8)]
        for image_id in ids:
            assert client.processed(image_id).status == 200
        served.kill()  # kill -9: all of them are settled, none delivered
        assert backlog(served.database).pending == 8
        served.start()
        with receiver:
            receiver.wait_for(8)
            assert ids_of(receiver) == Counter(ids)
            for got in receiver.got:
                verify(got, secret)
    finally:
        served.close()


def test_a_delivery_that_a_kill_cut_off_is_made_again_under_its_id(served: ServedHome) -> None:
    """The worst moment: the receiver has the event, the server did not live to note it."""
    try:
        served.start()
        client = Client.new(served)
        assert served.server is not None
        server_pid = served.server.pid

        def kill_the_sender(got: Got) -> int:
            os.kill(server_pid, signal.SIGKILL)
            return 204

        with Receiver(kill_the_sender) as receiver:
            add_webhook(served.database, receiver.url)
            image_id = client.upload(pictures.jpeg())
            receiver.wait_for(1)
            served.server.wait(20)
            receiver.answer = lambda got: 204
            served.start()
            first, second = receiver.wait_for(2)
            assert first.id == second.id
            assert first.body == second.body
            assert ids_of(receiver) == {image_id: 2}
    finally:
        served.close()


def test_a_receiver_that_hangs_delays_neither_images_nor_others(served: ServedHome) -> None:
    release = threading.Event()

    def hang(got: Got) -> int:
        release.wait(60)
        return 204

    try:
        served.start()
        client = Client.new(served)
        with Receiver(hang) as slow, Receiver() as fast:
            add_webhook(served.database, slow.url)
            add_webhook(served.database, fast.url)
            ids = [client.upload(pictures.jpeg(400, 300, seed)) for seed in range(10)]
            fast.wait_for(10, timeout_s=15)
            assert ids_of(fast) == Counter(ids)
            assert len(slow.got) <= 10
            assert served.server is not None
            served.server.terminate()  # and it does not keep the server from ending
            assert served.server.wait(timeout=15) == 0
            release.set()
    finally:
        served.close()


def test_kills_lose_no_event(served: ServedHome) -> None:
    """Ten seeded runs of the chaos test: afterwards each image has one event, and it arrived."""
    try:
        served.start()
        client = Client.new(served)
        with Receiver() as receiver:
            add_webhook(served.database, receiver.url)
            for seed in range(10):
                assert_survives(served, client, Random(seed), uploads=4, kills=1)
            sql = 'SELECT "image-id" FROM "image-metadata"'
            images = {str(image_id) for (image_id,) in served.database.read().execute(sql)}
            assert len(images) == 40
            found = served.database.read().execute("SELECT image_id FROM event")
            assert Counter(str(image_id) for (image_id,) in found) == Counter(images)
            receiver.wait_for(40)
            distinct = {got.id for got in receiver.got}
            assert len(distinct) == 40
            assert set(ids_of(receiver)) == images
    finally:
        served.close()


def test_mail_of_a_real_server(served: ServedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    with MailServer() as mail:
        monkeypatch.setenv("DANDYROLL_SMTP_HOST", "localhost")
        monkeypatch.setenv("DANDYROLL_SMTP_PORT", str(mail.port))
        monkeypatch.setenv("DANDYROLL_SMTP_SECURITY", "none")
        monkeypatch.setenv("DANDYROLL_MAIL_FROM", "dandyroll@example.com")
        monkeypatch.setenv("DANDYROLL_MAIL_TO", "ops@example.com")
        try:
            served.start()
            client = Client.new(served)
            client.processed(client.upload(pictures.jpeg()))
            failed = client.upload(pictures.broken_png(), "image/png")
            mail.wait_for(1)
            (message,) = mail.mailbox.messages
            assert message["Subject"] == "Dandyroll: image 1 failed"
            assert failed in message.get_content()
        finally:
            served.close()


def test_the_commands(served: ServedHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDYROLL_RETRY_FIRST_S", "600")  # what comes again, comes by replay
    monkeypatch.setenv("DANDYROLL_RETRY_MAX_S", "600")
    data = ("--data", served.data_dir)
    receiver = Receiver(lambda got: 500)
    try:
        served.start()
        client = Client.new(served)
        with receiver:
            added = dandyroll("webhooks", "add", receiver.url, "--owner", client.owner,
                              "--events", "image.processed", *data)  # fmt: skip
            match = re.fullmatch(r"id:     (wh_\w{8})\nsecret: (whsec_\S{44})\n", added.stdout)
            assert match, added
            webhook, secret = match.groups()
            tested = dandyroll("webhooks", "test", webhook, *data)
            assert (tested.returncode, tested.stdout) == (1, "")
            assert "answered 500" in tested.stderr
            verify(receiver.got[0], secret)
            assert receiver.got[0].event["type"] == "webhook.test"

            image_id = client.upload(pictures.jpeg())
            _until(lambda: bool(list_deliveries(served.database, failed=True, limit=9)))
            shown = dandyroll("webhooks", "deliveries", "--failed", *data).stdout
            assert re.fullmatch(
                rf"1  \S+Z  image.processed  {image_id}  {webhook}  next try \S+Z  "
                r"1 tries  answered 500\n",
                shown,
            ), shown
            receiver.answer = lambda got: 202
            for tries, which in enumerate((("--failed",), ("1",), ("--since", "1h")), 3):
                done = dandyroll("webhooks", "replay", *which, *data)
                assert "1 to be delivered" in done.stderr
                receiver.wait_for(tries)
                _until(lambda: backlog(served.database).pending == 0)
            assert len({got.id for got in receiver.got[1:]}) == 1
            assert dandyroll("webhooks", "deliveries", "--failed", *data).stdout == ""
            (line,) = dandyroll("webhooks", "deliveries", "--json", *data).stdout.splitlines()
            facts = json.loads(line)
            assert (facts["state"], facts["image_id"]) == ("delivered", image_id)
            assert facts["answer"].startswith("answered 202 in ")
            assert dandyroll("webhooks", "test", webhook, *data).returncode == 0

        listed = dandyroll("webhooks", "list", *data).stdout
        assert listed == f"{webhook}  {receiver.url}  owner {client.owner}  image.processed  ok\n"
        as_json = dandyroll("webhooks", "list", "--json", *data).stdout
        assert json.loads(as_json)["id"] == webhook
        assert secret not in listed + as_json
        assert dandyroll("webhooks", "remove", webhook, *data).returncode == 0
        assert dandyroll("webhooks", "list", *data).stdout == ""
    finally:
        served.close()


def _until(reached: Callable[[], bool], timeout_s: float = 20) -> None:
    """What another process writes or does can only be looked for."""
    deadline_s = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "http://example.com/"), "--allow-http"),
        (("add", "https://example.com/", "--events", "image.eaten"), "image.eaten"),
        (("add", "https://example.com/", "--owner", "My Shop"), "owner"),
        (("remove", "wh_00000000"), "No webhook wh_00000000"),
        (("test", "wh_00000000"), "No webhook wh_00000000"),
        (("replay", "12"), "No delivery 12"),
        (("replay", "--since", "soon"), "a span such as 2h"),
        (("replay",), "one of the arguments"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    Database(tmp_path / "catalogue.db").close()
    done = dandyroll("webhooks", *arguments, "--data", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_receiver_of_the_docs_works_as_it_stands(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert program.count("9000") == 1
    assert len([line for line in program.splitlines() if line.strip()]) <= 24
    port = free_port()
    path = tmp_path / "receiver.py"
    path.write_text(program.replace("9000", str(port)))
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    environment = {**os.environ, "WEBHOOK_SECRET": secret}
    running = subprocess.Popen(
        [sys.executable, path],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _until(lambda: _listens(port))
        webhook = Webhook(f"http://127.0.0.1:{port}/", secret, 5)
        event = new_event("image.processed", {"image-id": "upload-1.jpg"}, time.time())
        assert "204" in webhook.publish([event])
        assert "204" in webhook.publish([event])  # taken, but not acted on
        assert "204" in webhook.publish([new_event("image.deleted", {"image-id": "2"}, 1.0)])
        old = time.time() - 301
        forgeries = [
            Webhook(webhook.url, "whsec_" + "A" * 32, 5),
            Webhook(webhook.url, secret, 5, clock=lambda: old),
            Webhook(webhook.url, secret, 5, clock=lambda: old + 602),
        ]
        for forgery in forgeries:
            with pytest.raises(NotDelivered, match="answered 400"):
                forgery.publish([new_event("image.failed", {"image-id": "3"}, time.time())])
        now = int(time.time())
        headers = {"webhook-id": "evt_4", "webhook-timestamp": str(now)}
        assert _post(port, headers, b"{}") == 400  # unsigned
        headers["webhook-signature"] = f"v1,AAAA {sign(secret, 'evt_4', now, b'{}')}"
        assert _post(port, headers, b"{ }") == 400  # another body
    finally:
        running.terminate()
        printed, _ = running.communicate(timeout=10)
    assert printed == "image.processed upload-1.jpg\nimage.deleted 2\n"


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _post(port: int, headers: dict[str, str], body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection):
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status

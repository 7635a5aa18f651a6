"""The real XMPP server of the tests: people talk over it, and a kill loses nothing that it has accepted."""

from __future__ import annotations

import requests

from tests.hooks.dispatch.dispatching import wait_until
from tests.servers.prosody import Prosody
from tests.servers.xmpp_client import Client


def test_people_talk_with_receipts_and_markers(prosody: Prosody) -> None:
    with (
        Client(prosody.register("ann"), tls=True) as ann,
        Client(ben_account := prosody.register("ben")) as ben,
        Client(ben_account, "laptop") as laptop,
    ):
        id = ann.write(ben.jid, "hello")
        hello = ben.wait_for("hello")
        assert (hello.id, hello.sender, hello.is_markable) == (id, f"{ann.jid}/phone", True)
        wait_until(lambda: id in ann.receipts, "the receipt")
        ben.read(hello)
        wait_until(lambda: ann.displayed == [id], "the marker")
        ben.reply(hello, "good day")
        assert ann.wait_for("good day").replied_to == id
        assert laptop.wait_for("good day").is_carbon

        ben.send_file(ann.jid, b"a picture", "image/png", "view.png")
        file = ann.wait_for(lambda message: bool(message.url))
        assert requests.get(file.url, timeout=30).content == b"a picture"
        ben.send_location(ann.jid, 52.5, 13.4)
        assert ann.wait_for("geo:52.5,13.4").place == (52.5, 13.4)
        ben.show_typing(ann.jid)
        wait_until(lambda: (ben.jid, "composing") in ann.typing, "the chat state")


def test_people_talk_in_a_room(prosody: Prosody) -> None:
    with Client(prosody.register("ann")) as ann, Client(prosody.register("ben")) as ben:
        room = ann.create_room("tea", "Ann", ben.jid)
        wait_until(lambda: ben.invitations == [room], "the invitation")
        ben.join(room, "Ben")
        ben.write(room, "hello all", type="groupchat")
        assert ann.wait_for("hello all").sender == f"{room}/Ben"
        assert [message.body for message in ann.archive(room)] == ["hello all"]


def test_a_kill_loses_nothing_and_a_new_password_counts(prosody: Prosody) -> None:
    bodies = [str(number) for number in range(120)]
    ben_account = prosody.register("ben")
    with Client(prosody.register("ann")) as ann:
        ann.write_many(ben_account.jid, bodies)
        prosody.kill()
        prosody.start()
        ann.connect()
        with Client(ben_account) as ben, Client(ben_account, "laptop") as laptop:
            assert [message.body for message in ben.archive()] == bodies
            wait_until(lambda: ben.bodies() == bodies, "those that the server has kept for the first client")
            assert [message.body for message in ann.archive(with_jid=ben.jid)] == bodies
            laptop.change_password("another password")
            ben.connect()

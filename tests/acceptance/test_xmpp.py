"""A person writes at a real XMPP server, and the bot behind the webhook answers over the wire contract.

All three ticks come as hooks, and a reaction, files go both ways, both talk in a room, what is typed in another client
arrives, server and product are killed, another client takes the session over, and the password is changed.
"""

from __future__ import annotations

import base64

import requests

from tests.messengers.bot import SECONDS, Bot, wait_for
from tests.messengers.xmpp import XmppAccount
from tests.product import Product
from tests.receiver import Receiver
from tests.servers.prosody import Prosody
from tests.servers.xmpp_client import Client

PICTURE = b"\x89PNG\r\n\x1a\n" + b"a small picture" * 20
ANSWER = b"%PDF-1.4 the answer of the bot"


def test_a_person_and_a_bot_talk_over_xmpp(product: Product, prosody: Prosody) -> None:
    with Receiver() as receiver, Client(prosody.register("story-ann"), tls=True) as ann:
        account = XmppAccount(prosody, [ann])
        bot = Bot(product, receiver, "xmpp", account)
        [chat_id] = account.chat_ids
        assert chat_id == f"xmpp:{ann.jid}@c.us"

        resource = the_bot_answers_with_all_ticks(bot, ann, account.jid, chat_id)
        files_and_places_go_both_ways(bot, ann, account.jid, chat_id)
        both_talk_in_a_room(bot, ann, account.jid, chat_id)
        what_another_client_writes_is_the_accounts_own(bot, ann, account, chat_id)
        nothing_is_lost_by_a_kill_of_the_product(bot, product, ann, account.jid, chat_id)
        nothing_is_lost_by_a_kill_of_the_server(bot, ann, prosody, account.jid, chat_id)
        another_client_takes_the_session_over(bot, ann, account, resource)
        the_password_is_changed(bot, ann, account)
    assert_nothing_is_missing(product)


def the_bot_answers_with_all_ticks(bot: Bot, ann: Client, own: str, chat_id: str) -> str:
    """Returns the resource of the instance's connection."""
    asked = ann.write(own, "hello")
    hello = bot.wait_for_message("hello")
    assert (hello["chatId"], hello["author"], hello["self"]) == (chat_id, chat_id, 0)
    wait_for(lambda: asked in ann.receipts, "the receipt of the instance")

    sent = bot.send("sendMessage", chatId=chat_id, body="good day", quotedMsgId=hello["id"])
    reply = ann.wait_for(lambda message: message.body.endswith("good day"))
    assert (reply.replied_to, reply.type) == (asked, "chat")
    wait_for(lambda: bot.acks(sent)[-1:] == ["delivered"], "the receipt of the person")
    ann.read(reply)
    wait_for(lambda: bot.acks(sent)[-1:] == ["viewed"], "the marker")
    assert bot.acks(sent) == ["sent", "delivered", "viewed"]

    ann.react(reply, "\U0001f44d")
    ann.react(reply)
    assert bot.wait_for_message("\U0001f44d")["quotedMsgId"] == sent

    bot.call("typing", chatId=chat_id)
    wait_for(lambda: (own, "composing") in ann.typing, "the chat state")
    return reply.sender.partition("/")[2]


def files_and_places_go_both_ways(bot: Bot, ann: Client, own: str, chat_id: str) -> None:
    ann.send_file(own, PICTURE, "image/png", "view.png")
    picture = bot.wait_for_message(type="image")
    assert requests.get(picture["body"], timeout=SECONDS).content == PICTURE

    data = "data:application/pdf;base64," + base64.b64encode(ANSWER).decode()
    bot.send("sendFile", chatId=chat_id, body=data, filename="answer.pdf", caption="here")
    file = ann.wait_for(lambda message: "answer.pdf" in message.url)
    assert "here" in file.body
    assert requests.get(file.url, timeout=SECONDS).content == ANSWER

    ann.send_location(own, 52.5, 13.4)
    assert bot.wait_for_message(type="location")["body"] == "52.5;13.4"
    bot.send("sendLocation", chatId=chat_id, lat=48.2, lng=16.37, address="Vienna")
    assert ann.wait_for(lambda message: message.body.startswith("geo:48.2,16.37")).place == (48.2, 16.37)


def both_talk_in_a_room(bot: Bot, ann: Client, own: str, chat_id: str) -> None:
    """The instance is invited, enters, and knows who writes."""
    room = ann.create_room("story", "Ann", own)
    wait_for(lambda: len(ann.occupants(room)) == 2, "the instance in the room")
    ann.write(room, "hello all", type="groupchat")
    hello = bot.wait_for_message("hello all")
    assert (hello["chatId"], hello["author"]) == (f"xmpp:{room}@g.us", chat_id)
    bot.send("sendMessage", chatId=hello["chatId"], body="hello Ann")
    answer = ann.wait_for("hello Ann")
    assert (answer.type, answer.sender.partition("/")[0]) == ("groupchat", room)
    assert [message.body for message in ann.archive(room)] == ["hello all", "hello Ann"]


def what_another_client_writes_is_the_accounts_own(
    bot: Bot, ann: Client, account: XmppAccount, chat_id: str
) -> None:
    with Client(account.account, "laptop") as laptop:
        laptop.write(ann.jid, "typed by hand")
        typed = wait_for(
            lambda: next((each for each in bot.hooks("messages") if each["body"] == "typed by hand"), None),
            "the copy of what was typed",
        )
        assert (typed["fromMe"], typed["self"], typed["chatId"]) == (True, 0, chat_id)
        ann.write(account.jid, "for both")
        assert laptop.wait_for("for both")
        bot.wait_for_message("for both")
    assert bot.texts(chat_id) == ["hello", "\U0001f44d", "for both"], "each once"


def nothing_is_lost_by_a_kill_of_the_product(
    bot: Bot, product: Product, ann: Client, own: str, chat_id: str
) -> None:
    """The sender and the receiver are killed while both sides write."""
    before, seen = bot.texts(chat_id), ann.bodies(own)
    questions = [f"question {number}" for number in range(40)]
    answers = [f"answer {number}" for number in range(40)]
    for part in (slice(0, 20), slice(20, 40)):
        for question, answer in zip(questions[part], answers[part], strict=True):
            ann.write(own, question)
            bot.send("sendMessage", chatId=chat_id, body=answer)
        if part.start == 0:
            product.restart_worker()
    ann.wait_for(answers[-1])
    bot.wait_for_message(questions[-1])
    assert bot.texts(chat_id) == [*before, *questions], "each once and in order"
    assert ann.bodies(own) == [*seen, *answers], "each once and in order"


def nothing_is_lost_by_a_kill_of_the_server(
    bot: Bot, ann: Client, prosody: Prosody, own: str, chat_id: str
) -> None:
    """The bot writes while the server is away, and the person as soon as it is back: before the instance is."""
    before = bot.texts(chat_id)
    early = [f"early {number}" for number in range(5)]
    ann.write_many(own, early)
    prosody.kill()
    away = [f"away {number}" for number in range(3)]
    ids = [bot.send("sendMessage", chatId=chat_id, body=body) for body in away]
    prosody.start()
    ann.connect()
    late = [f"late {number}" for number in range(60)]  # more than a page of the archive
    ann.write_many(own, late)
    bot.wait_for_message(late[-1])
    assert bot.texts(chat_id) == [*before, *early, *late], "each once and in order"
    ann.wait_for(away[-1])
    archived = [message.body for message in ann.archive(with_jid=own) if message.sender.startswith(own)]
    assert archived[-3:] == away and len(archived) == len(set(archived)), "each once and in order"
    wait_for(lambda: all(bot.acks(id)[-1:] == ["delivered"] for id in ids), "the receipts")


def another_client_takes_the_session_over(bot: Bot, ann: Client, account: XmppAccount, resource: str) -> None:
    with Client(account.account, resource):
        wait_for(lambda: bot.status() == ("loading", "conflict"), "the conflict")
        ann.write(account.jid, "during the conflict")
        assert bot.call("takeover")
        wait_for(lambda: bot.status()[0] == "authenticated", "the session is back")
    bot.wait_for_message("during the conflict")
    wait_for(lambda: bot.statuses()[-2:] == ["loading", "authenticated"], "both changes as hooks")


def the_password_is_changed(bot: Bot, ann: Client, account: XmppAccount) -> None:
    """With the old password the instance is not linked any more; with the new one it misses nothing."""
    with Client(account.account, "laptop") as laptop:
        laptop.change_password("another password")
    wait_for(lambda: bot.status()[0] == "init", "the link is lost")
    wait_for(lambda: bot.statuses()[-1:] == ["init"], "the change as a hook")
    ann.write(account.jid, "without the instance")
    bot.link()
    wait_for(lambda: bot.status()[0] == "authenticated", "it is linked again")
    ann.write(account.jid, "with the instance")
    bot.wait_for_message("with the instance")
    bot.wait_for_message("without the instance")


def assert_nothing_is_missing(product: Product) -> None:
    for what in ("messages", "hooks"):
        done = product.manage(what, "check")
        assert done.returncode == 0, done.stdout + done.stderr

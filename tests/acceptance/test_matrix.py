"""A person writes at a real Matrix homeserver, and the bot behind the webhook answers over the wire contract.

Files go both ways, the person's receipt arrives as the ack "viewed", and the homeserver is killed in between.
"""

from __future__ import annotations

import base64

import requests

from tests.messengers.bot import SECONDS, Bot, wait_for
from tests.messengers.matrix import MatrixAccount
from tests.product import Product
from tests.receiver import Receiver
from tests.servers.synapse import Person, Synapse

PICTURE = b"\x89PNG\r\n\x1a\n" + b"a small picture" * 20
ANSWER = b"%PDF-1.4 the answer of the bot"


def test_a_person_and_a_bot_talk_over_matrix(product: Product, synapse: Synapse) -> None:
    shop = MatrixAccount(synapse, people=0, seen_at=synapse.url)
    account, ann = shop.account, shop.person
    with Receiver() as receiver:
        bot = Bot(product, receiver, "matrix", shop)
        room = ann.create_room(account.user, is_direct=True)
        asked = ann.write(room, "hello")

        hello = bot.wait_for_message("hello")
        assert hello["chatId"] == f"matrix:{room}@c.us"
        assert (hello["author"], hello["senderName"]) == (f"matrix:{ann.user}@c.us", "Ann")

        sent = bot.send("sendMessage", chatId=hello["chatId"], body="good day", quotedMsgId=hello["id"])
        reply = ann.wait_for(room, lambda event: event["content"]["body"] == "good day")
        assert reply["sender"] == account.user
        assert reply["content"]["m.relates_to"] == {"m.in_reply_to": {"event_id": asked}}

        ann.read(room, reply["event_id"])
        wait_for(lambda: bot.acks(sent)[-1:] == ["viewed"], "the receipt")
        assert bot.acks(sent) == ["sent", "viewed"]

        files_go_both_ways(bot, ann, room, hello["chatId"])
        the_bot_begins_a_chat(bot, synapse.register("story-ben", name="Ben"))
        nothing_is_lost_by_a_kill_of_the_product(bot, product, account.user, ann, room, hello["chatId"])
        nothing_is_lost_by_a_kill(bot, account.user, ann, synapse, room, hello["chatId"])


def files_go_both_ways(bot: Bot, ann: Person, room: str, chat_id: str) -> None:
    uri = ann.upload(PICTURE, "image/png", "view.png")
    info = {"mimetype": "image/png", "size": len(PICTURE)}
    ann.send(room, {"msgtype": "m.image", "body": "look", "filename": "view.png", "url": uri, "info": info})
    picture = bot.wait_for_message(type="image")
    assert picture["caption"] == "look"
    assert requests.get(picture["body"], timeout=SECONDS).content == PICTURE

    data = "data:application/pdf;base64," + base64.b64encode(ANSWER).decode()
    bot.send("sendFile", chatId=chat_id, body=data, filename="answer.pdf", caption="here")
    file = ann.wait_for(room, lambda event: event["content"].get("filename") == "answer.pdf")
    assert (file["content"]["msgtype"], file["content"]["body"]) == ("m.file", "here")
    assert ann.download(file["content"]["url"]) == ANSWER


def the_bot_begins_a_chat(bot: Bot, ben: Person) -> None:
    """It writes to a user, and gets the answer in the same chat."""
    chat_id = f"matrix:{ben.user}@c.us"
    bot.send("sendMessage", chatId=chat_id, body="welcome")
    room = ben.wait_for_invitation()
    ben.join(room)
    ben.wait_for(room, lambda event: event["content"]["body"] == "welcome")
    ben.write(room, "thanks")
    assert bot.wait_for_message("thanks")["chatId"] == chat_id
    bot.send("sendMessage", chatId=chat_id, body="you're welcome")
    ben.wait_for(room, lambda event: event["content"]["body"] == "you're welcome")


def nothing_is_lost_by_a_kill_of_the_product(
    bot: Bot, product: Product, account: str, ann: Person, room: str, chat_id: str
) -> None:
    """The sender and the receiver are killed while both sides write."""
    questions = [f"question {number}" for number in range(20)]
    answers = [f"answer {number}" for number in range(20)]
    for number in range(10):
        ann.write(room, questions[number])
        bot.send("sendMessage", chatId=chat_id, body=answers[number])
    product.restart_worker()
    for number in range(10, 20):
        ann.write(room, questions[number])
        bot.send("sendMessage", chatId=chat_id, body=answers[number])
    ann.wait_for(room, lambda event: event["content"]["body"] == answers[-1])
    bot.wait_for_message(questions[-1])
    assert bot.texts(chat_id) == ["hello", *questions], "each once and in order"
    assert ann.bodies(room, sender=account) == ["good day", "here", *answers], "each once and in order"


def nothing_is_lost_by_a_kill(
    bot: Bot, account: str, ann: Person, synapse: Synapse, room: str, chat_id: str
) -> None:
    """The bot writes while the homeserver is away, and the person as soon as it is back."""
    before = [f"before {number}" for number in range(5)]
    for body in before:
        ann.write(room, body)
    synapse.kill()
    away = [f"away {number}" for number in range(3)]
    for body in away:
        bot.send("sendMessage", chatId=chat_id, body=body)
    synapse.start()
    ann.write(room, "are you there")
    bot.wait_for_message("are you there")
    assert bot.texts(chat_id)[-6:] == [*before, "are you there"], "each once and in order"
    for body in away:
        ann.wait_for(room, lambda event, body=body: event["content"]["body"] == body)  # type: ignore[misc]
    own = ann.bodies(room, sender=account)
    assert own[-3:] == away and len(own) == len(set(own)), "each once and in order"

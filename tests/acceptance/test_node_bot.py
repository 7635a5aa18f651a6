"""An old client's bot, a program for Node.js, works over each messenger unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.hooks.dispatch.dispatching import wait_until
from tests.messengers.linked_instance import LinkedInstance
from tests.messengers.service import Account, Service
from tests.messengers.services import SERVICES, running_with_services
from tests.product import ROOT, Product, free_port
from tests.receivers.languages import serving

BOT = ROOT / "tests" / "acceptance" / "node_bot.js"
SECONDS = 120.0


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Product, Mapping[str, Service]]]:
    with running_with_services(request, tmp_path_factory.mktemp("node_bot")) as found:
        yield found


@pytest.mark.parametrize("channel", SERVICES)
def test_an_old_bot_answers_a_person_over_the_messenger(
    running: tuple[Product, Mapping[str, Service]], channel: str, tmp_path: Path
) -> None:
    product, services = running
    account = services[channel].add_account(people=1)
    instance = LinkedInstance(product, channel, account)
    environment = {"API_URL": instance.contract, "TOKEN": instance.token}
    port = free_port()
    with serving(["node", str(BOT)], port, tmp_path / "bot.log", environment) as url:
        instance.rest("PATCH", instance.home, {"webhookUrl": f"{url}webhook"})
        answers = {
            "hello": "Commands: chatid, me, file, geo",
            "ChatId": account.chat_ids[0],
            "me": f"You are {account.names[0]}",
        }
        for question, answer in answers.items():
            assert ask(account, question, account.texts) == answer
        for question, type in {"file": "image", "geo": "location"}.items():
            assert ask(account, question, account.types) == type
    assert account.texts(0) == list(answers.values()), "each answer once"


def ask(account: Account, question: str, got: Callable[[int], list[str]]) -> str:
    """Write to the bot as a person; returns what is `got` as its answer."""
    before = len(got(0))
    account.write(0, question, key=f"question-{question}")
    wait_until(lambda: len(got(0)) > before, f"an answer to {question}", SECONDS)
    [answer] = got(0)[before:]
    return answer

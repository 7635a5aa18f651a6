"""Staff who may not read bodies: while they view an account, no page shows what is in messages, hooks and captures."""

import json
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Length
from django.test import Client
from django.utils import timezone

from chatapi.staff.desk.links import hook_url
from hooks import body_masking
from hooks.body_masking import MaskedField, MaskedWrite, masked_bodies
from hooks.models import Attempt, Hook, Kind, Outcome
from instances.actions.messages import receive_message
from instances.models import Message, OutgoingMessage
from testing_tools.simulation.models import SimulationStep
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from tests.chatapi.permissions import ADDRESSES, World
from tests.chatapi.staff.test_impersonation import begin
from tests.wsgi import kept_connections

PLANTED = "Xq7PlantedXq7"
BODY = json.dumps({"messages": [{"type": "chat", "body": PLANTED, "caption": PLANTED}]}).encode()
# Addresses that show an account's content only with another query.
MORE = (
    "/log/?instance={number}&text={planted}",
    "/log/?instance={number}&hook={hook}",
    "/testing/verification/?instance={number}&q=body:{planted}",
    "/testing/verification/?instance={number}&q={planted}",
    "/testing/verification/?instance={number}&capture={capture}",
    "/testing/bin/?capture={capture}",
    "/testing/phone/?instance={number}&contact=17680561234",
    "/testing/sending/?instance={number}",
    "/testing/simulation/?instance={number}&run={run}",
    "/testing/simulation/?instance={number}&hook={simulated}",
    "/instances/{number}/messages/?chat=17680561234@c.us",
)


@pytest.fixture
def world(db: None) -> World:
    """Alice's account with one of everything, and a planted text in all of it."""
    world = World()
    instance = world.instance
    receive_message(instance, sender="17680561234", body=PLANTED)
    first = Message.objects.latest("pk")
    Message.objects.filter(pk=first.pk).update(metadata={"title": PLANTED})
    receive_message(instance, sender="17680561234", body=f"reply to {PLANTED}")
    Message.objects.filter(pk=Message.objects.latest("pk").pk).update(
        quoted={"id": first.message_id, "body": PLANTED, "type": "chat"}, caption=PLANTED
    )
    world.hook = Hook.objects.filter(kind=Kind.MESSAGE, simulated=False).latest("pk")
    Attempt.objects.create(
        hook=world.hook, number=1, started_at=timezone.now(), url="http://127.0.0.1:9/hook", status=500,
        outcome=Outcome.values[0], response_body=b'{"error": "%s"}' % PLANTED.encode(),
        response_headers=[["content-type", "application/json"]],
    )  # fmt: skip
    Hook.objects.filter(simulated=True).update(body=BODY)
    SimulationStep.objects.update(body=BODY)
    OutgoingMessage.objects.create(
        instance=instance, queue_number=900, message_id="waits", chat_id="17680561234@c.us", body=PLANTED
    )
    capture_actions.capture(
        world.bin.key, method="POST", body=BODY, query=f"text={PLANTED}",
        headers=[("content-type", "application/json"), ("webhook-id", "hook_1")],
    )  # fmt: skip
    world.capture = Capture.objects.latest("pk")
    return world


def viewed(world: World, client: Client) -> dict[str, tuple[int, str]]:
    """Every page of the site, and what this visitor gets."""
    begin(client, world.account)
    client.raise_request_exception = False
    pages = [
        world.address(name) for name in ADDRESSES if not name.startswith(("admin:", "usersessions", "mfa_"))
    ]
    pages += [
        page.format(
            number=world.instance.number,
            planted=PLANTED,
            hook=world.hook.public_id,
            simulated=world.simulated.public_id,
            capture=world.capture.public_id,
            run=world.run.public_id,
        )
        for page in MORE
    ]
    found = {}
    for page in pages:
        with kept_connections(), transaction.atomic():
            answer = client.get(page)
            text = b"".join(answer) if answer.streaming else answer.content
            transaction.set_rollback(True)
        found[page] = (answer.status_code, text.decode(errors="replace"))
    return found


def shows(text: str) -> bool:
    """A page that repeats the filter does not show a body."""
    return PLANTED in text.replace(f"text={PLANTED}", "").replace(f"body:{PLANTED}", "")


def test_no_page_shows_what_is_in_a_body(world: World, of_group: Callable[[str], Client]) -> None:
    masked = viewed(world, of_group("support"))
    assert [page for page, (status, _) in masked.items() if status >= 500 and "readyz" not in page] == []
    leaks = [page for page, (_, text) in masked.items() if shows(text) and PLANTED not in page]
    assert leaks == []
    banner = "The content of messages and hooks is masked and cannot be searched."
    assert banner in masked[f"/instances/{world.instance.number}/messages/?"][1]


def test_a_masked_body_has_its_true_size(world: World, of_group: Callable[[str], Client]) -> None:
    """On the pages of the account and on the support desk; a complete response is not called cut off."""
    attempt = Attempt.objects.get(hook=world.hook)
    Attempt.objects.filter(pk=attempt.pk).update(response_size=len(attempt.response_body))
    size, client = len(world.hook.body), of_group("support")
    assert size > 100
    desk = client.get(hook_url(world.hook)).text
    begin(client, world.account)
    for page in (client.get(f"/log/{world.hook.public_id}/").text, desk):
        assert PLANTED not in page
        assert f"headers, {size} bytes" in " ".join(page.split())
        assert "The log stores the first 8 KB" not in page


def test_those_who_may_read_bodies_see_them(world: World, of_group: Callable[[str], Client]) -> None:
    """The test above walks over pages that do show bodies."""
    seen = viewed(world, of_group("administrator"))
    showing = [page for page, (_, text) in seen.items() if shows(text)]
    for part in (
        "messages",
        "/log/",
        "/testing/verification/",
        "/testing/sending/",
        "/testing/phone/",
        "/testing/bins/",
    ):
        assert [page for page in showing if part in page], f"{part}: {showing}"
    assert len(showing) >= 12


def test_a_search_reveals_nothing_about_a_body(world: World, of_group: Callable[[str], Client]) -> None:
    address = f"/log/?instance={world.instance.number}&text={PLANTED}"
    for group, finds in (("administrator", True), ("support", False)):
        client = of_group(group)
        begin(client, world.account)
        assert (str(world.hook.public_id) in client.get(address).content.decode()) is finds


def test_the_owner_sees_their_own_bodies_meanwhile(world: World, of_group: Callable[[str], Client]) -> None:
    support = of_group("support")
    begin(support, world.account)
    support.get(world.address("instances:messages"))
    owner = world.client("owner")
    assert (
        PLANTED
        in owner.get(f"/instances/{world.instance.number}/messages/?chat=17680561234@c.us").content.decode()
    )


# -- the fields


def test_queries_of_every_form_are_masked(world: World) -> None:
    message = Message.objects.filter(body=PLANTED)
    with masked_bodies():
        assert message.get().body == body_masking.MASK
        assert message.values_list("body", flat=True).get() == body_masking.MASK
        assert message.annotate(copy=F("body")).get().copy == body_masking.MASK
        assert (
            Message.objects.filter(pk=message.values("pk")[:1]).values("body").get()["body"]
            == body_masking.MASK
        )
        assert message.get().metadata == {"title": body_masking.MASK}
        assert message.annotate(size=Length("body")).get().size == len(PLANTED)
        assert json.loads(Capture.objects.get(pk=world.capture.pk).body) == body_masking.MASK
    assert message.get().body == PLANTED


def test_a_mask_is_never_stored(world: World) -> None:
    message = Message.objects.get(body=PLANTED)
    with masked_bodies():
        for write in (
            message.save,
            lambda: Message.objects.update(body="x"),
            Message.objects.get(pk=message.pk).save,
        ):
            with pytest.raises(MaskedWrite), transaction.atomic():
                write()
    message.refresh_from_db()
    assert message.body == PLANTED


def test_an_unmasked_query_has_no_converter_more() -> None:
    """Bodies are read in the busiest loops; only a masked request pays for the mask."""
    field = Hook._meta.get_field("body")
    assert isinstance(field, MaskedField)
    without = field.get_db_converters(connection)
    with masked_bodies():
        assert len(field.get_db_converters(connection)) == len(without) + 1

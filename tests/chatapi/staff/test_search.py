"""The support desk's search: what each text finds, for whom, and by which index."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.actions.keys import issue_key
from accounts.models import User
from chatapi.staff.search import groups_of, message_rows, searched_text
from hooks.models import Endpoint, Hook, Kind
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.models import Chat, Instance, Message
from tests.factories import AccountFactory, InstanceFactory, UserFactory, fail_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Instance:
    owner = AccountFactory(email="alice@example.org")
    url = "https://bot.shop.example/hooks/in?key=1"
    return InstanceFactory(owner=owner, name="Shop", number=1319968252, phone="4915112345678", url=url)


@pytest.fixture
def message(shop: Instance) -> Message:
    InstanceFactory(number=20_001, url="https://other.example/")
    return receive_message(shop, sender="17680561234", body="hello", key="A1B2")


def desk_of(group: str) -> Client:
    user = UserFactory(email=f"{group}@example.com", is_staff=True)
    user.groups.set([Group.objects.get(name=group)])
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def desk() -> Client:
    return desk_of("support")


def found(client: Client, text: str) -> dict[str, list[str]]:
    """The titles of the results, by kind. A single result has redirected to its page."""
    user = User.objects.get(pk=client.session["_auth_user_id"])
    groups = groups_of(searched_text(text), user)
    rows = [row for group in groups for row in group.rows]
    response = client.get("/admin/search/", {"q": text})
    if len(rows) == 1:
        assert response["Location"] == rows[0].url
    else:
        assert response.status_code == 200
        assert all(row.title in response.text for row in rows)
    return {group.kind: [row.title for row in group.rows] for group in groups}


SHOP = {"Instance": ["Shop (1319968252)"]}


@pytest.mark.parametrize(
    "text",
    [
        "4915112345678", "+4915112345678", "+49 151 1234-5678", "004915112345678", "+49 (0)151 12345678",
        "+49\u00a0151\u201112345678", "\u202a+4915112345678\u202c", "49.151.12345678", "٤9 151 12345678",
        "4915112345678@c.us",
    ],
)  # fmt: skip
def test_by_phone_in_any_spelling(desk: Client, shop: Instance, text: str) -> None:
    assert found(desk, text) == SHOP


@pytest.mark.parametrize(
    "text", ["+49 151 123", "0151 12345678", "01511234", "12345678", "345678", "151 12345678"]
)
def test_by_a_part_of_the_phone(desk: Client, shop: Instance, text: str) -> None:
    """The beginning or the end, with or without the country's code; the zero of a national number does not count."""
    InstanceFactory(number=20_001, phone="4930123456789")
    expected = {} if text == "01511234" else SHOP  # neither the beginning nor the end
    assert found(desk, text) == expected


def test_a_whole_phone_is_not_also_a_part(desk: Client, shop: Instance) -> None:
    InstanceFactory(name="Longer", number=20_001, phone="49151123456789")
    assert found(desk, "4915112345678") == SHOP


def test_secrets_are_neither_searched_nor_shown(desk: Client, shop: Instance) -> None:
    """Of an account's key its first characters are used; webhook URLs are shown without their query."""
    _, key = issue_key(shop.owner, acting_user=None)
    other = InstanceFactory(owner=shop.owner, number=20_001)
    Endpoint.objects.filter(pk=other.pk).update(url="https://user:hunter2@bot.shop.example/hooks/in?key=2")
    assert found(desk, key) == {"Customer": ["alice@example.org"]}
    page = desk.get("/admin/search/", {"q": "shop.example"}).text
    assert page.count("https://bot.shop.example/hooks/in?key=***") == 2 and "hunter2" not in page
    for secret in (shop.token, shop.endpoint.secret):
        assert found(desk, secret) == {}
    assert shop.endpoint.secret not in desk.get("/admin/search/", {"q": shop.endpoint.secret}).text
    assert key not in desk.get("/admin/search/", {"q": key}, follow=True).text


@pytest.mark.parametrize(
    "text",
    [
        "https://bot.shop.example/hooks/in?key=1", "https://bot.shop.example/hooks", "HTTPS://Bot.Shop.Example/hooks",
        "bot.shop.example", "BOT.shop.example", "shop.example", "bot.shop.example:443",
    ],
)  # fmt: skip
def test_by_webhook_url_or_host(desk: Client, shop: Instance, text: str) -> None:
    assert found(desk, text) == SHOP


@pytest.mark.parametrize(
    "text",
    [
        "op.example", "https://shop.example", "https://bot.shop", "http://bot.shop.example/", "example.org", "%", "_",
        "\\", "%%", "https://%", "https://bot.shop.example/%", "https://bot.shop.example/hook_/", "%@example.org",
        "al_ce@example.org", "uid_%", "uid__", "49%", "hook_%", "true_%@c.us_%",
    ],
)  # fmt: skip
def test_a_part_of_a_host_is_none(desk: Client, shop: Instance, text: str) -> None:
    assert found(desk, text) == {}


def test_the_secrets_in_a_url_cannot_be_guessed_letter_by_letter(desk: Client, shop: Instance) -> None:
    """A right guess of the next letter finds what a wrong one finds."""
    stored = "https://user:hunter2@x.example/in?key=ab#cd"
    Endpoint.objects.filter(pk=shop.pk).update(url=stored)
    for right, wrong in (
        ("https://u", "https://v"),
        ("https://user", "https://usex"),
        ("https://user:h", "https://user:i"),
        ("https://user:hunter2@x.example/in", "https://user:hunter3@x.example/in"),
        ("https://x.example/in?key=a", "https://x.example/in?key=b"),
        (stored, "https://user:hunter2@x.example/in?key=ab#ce"),
    ):
        assert found(desk, right) == found(desk, wrong)
        for page in ("/admin/issues/", "/admin/instances/instance/", "/admin/hooks/endpoint/"):
            shown = [desk.get(page, {"q": text}).text.count("x.example") for text in (right, wrong)]
            assert shown[0] == shown[1], (page, right)
    assert found(desk, "x.example") == SHOP


def test_a_phone_with_a_leading_zero_is_no_instance_number(desk: Client, shop: Instance) -> None:
    """0151 12345 is the number of a phone, and instance 15112345 another customer's."""
    InstanceFactory(name="Other", number=15_112_345)
    Instance.objects.filter(pk=shop.pk).update(phone="4915112345")
    assert found(desk, "015112345") == SHOP
    assert found(desk, "15112345") == {"Instance": ["Other (15112345)"]}
    assert found(desk, "00" * 5000) == {}


ODD = (
    "%", "_", "\\", "'", '"', "\x00", "a\x00b", "\ufffd", "\u202e", "0", "-1", "1e9", "٣", "0x10", "9" * 18, "9" * 19,
    "2147483648", "9" * 10_000, "0" * 10_000, "a" * 10_000, "+" + "4" * 10_000, "a@" * 5_000, "http://" + "a." * 5_000,
    "http://[", "http://[::1", "http://@", "https://?", "https://#", "//", "[::1]:99999", "a:b:c", "uid_" * 3_000,
    "hook_" * 3_000, "whsec_", "true_@_", "false_1@c.us_" + "x" * 10_000, "wamid." + "=" * 10_000,
    "{{ 7 }}", "\n" * 9_000,
)  # fmt: skip


def test_odd_texts_are_no_errors(desk: Client, shop: Instance) -> None:
    desk.raise_request_exception = False
    pages = ["/admin/search/", "/admin/issues/", "/admin/instances/instance/", "/admin/hooks/hook/"]
    pages += ["/admin/accounts/account/", "/admin/hooks/endpoint/", "/admin/accounts/auditentry/"]
    customer = reverse("admin:customer", args=[shop.owner_id])
    for text in ODD:
        queries = [(page, {"q": text}) for page in pages]
        queries += [(customer, {"instance": text}), (customer, {"after": text})]
        queries += [("/admin/issues/", {"before": text}), ("/admin/issues/", {"state": text})]
        for page, query in queries:
            assert desk.get(page, query).status_code in (200, 302), (page, text[:40])
    for half_a_pair in ("%ED%A0%80", "%FF", "%C3"):
        for page in pages:
            assert desk.get(f"{page}?q={half_a_pair}").status_code == 200, (page, half_a_pair)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://straße.example/", "straße.example"),
        ("http://straße.example/", "http://straße.example"),
        ("http://127.0.0.1:9000/in", "127.0.0.1"),
        ("http://[::1]:9000/in", "[::1]"),
        ("http://bot.example:8443/in", "bot.example"),
    ],
)
def test_hosts_as_they_are_stored(desk: Client, url: str, text: str) -> None:
    InstanceFactory(name="Shop", number=1319968252, url=url)
    assert found(desk, text) == SHOP


def test_by_e_mail_address(desk: Client, shop: Instance) -> None:
    assert found(desk, "Alice@example.org") == {"Customer": ["alice@example.org"]}
    UserFactory(email="alice@example.com")
    assert found(desk, "alice@") == {"Customer": ["alice@example.com", "alice@example.org"]}


def test_by_instance_number(desk: Client, shop: Instance) -> None:
    assert found(desk, "1319968252") == SHOP


def test_by_message_id(desk: Client, shop: Instance, message: Message) -> None:
    hooks = [hook.webhook_id for hook in Hook.objects.filter(message=message.message_id).order_by("-pk")]
    assert found(desk, message.message_id) == {"Message": [message.message_id], "Hook": hooks}
    assert hooks
    page = desk.get("/admin/hooks/hook/", {"q": message.message_id}).text
    assert all(hook in page for hook in hooks)


def test_by_the_id_of_a_message_in_the_queue_or_failed(desk: Client, shop: Instance) -> None:
    waiting = send_message(shop, chat_id="17680561234@c.us", body="out")
    page = reverse("admin:customer_sent_message", args=[shop.number, waiting.message_id])
    assert found(desk, waiting.message_id) == {"Message": [waiting.message_id]}
    response = desk.get("/admin/search/", {"q": waiting.message_id})
    assert response["Location"] == page and "Queued" in desk.get(page).text
    fail_message(waiting)
    [row] = message_rows(waiting.message_id)
    assert row.text.startswith("failed, of Shop (1319968252), ") and row.url == page


def test_a_message_typed_on_the_phone_leads_to_its_hooks(desk: Client, shop: Instance) -> None:
    typed = receive_message(shop, sender="17680561234", body="typed", key="C3")
    Message.objects.filter(pk=typed.pk).update(from_me=True)
    [row] = message_rows(typed.message_id)
    listed = desk.get(row.url).context["cl"].result_list
    assert [hook.message for hook in listed] == [typed.message_id]


def test_by_hook_id(desk: Client, message: Message) -> None:
    hook = Hook.objects.filter(message=message.message_id).latest("pk")
    for text in (hook.webhook_id, str(hook.public_id), hook.webhook_id.upper().replace("HOOK_", "hook_")):
        assert found(desk, text) == {"Hook": [hook.webhook_id]}


def test_by_the_phone_of_a_contact(desk: Client, message: Message) -> None:
    assert found(desk, "+1 (768) 056-1234") == {"Contact": ["+17680561234"]}


def test_the_lists_find_the_same(desk: Client, shop: Instance) -> None:
    for text in (
        "+49 151 12345678",
        "shop.example",
        "https://bot.shop.example/",
        "alice@example.org",
        "1319968252",
    ):
        assert "1319968252" in desk.get("/admin/instances/instance/", {"q": text}).text
        assert "https://bot.shop.example/hooks/in" in desk.get("/admin/hooks/endpoint/", {"q": text}).text


def test_billing_finds_no_chats_messages_and_hooks(message: Message) -> None:
    billing = desk_of("billing")
    assert found(billing, message.message_id) == {}
    assert found(billing, "+17680561234") == {}
    assert found(billing, "4915112345678") == SHOP


def test_nothing_matches(desk: Client) -> None:
    page = desk.get("/admin/search/", {"q": "<b>none"}).text
    assert "Nothing matches “&lt;b&gt;none”" in page
    assert desk.get("/admin/search/", {"q": "x\x00" * 5000}).status_code == 200


def test_the_start_page_has_the_search(desk: Client) -> None:
    assert 'action="/admin/search/"' in desk.get("/admin/").text


BIG = ("hooks_hook", "instances_message", "instances_chat", "hooks_endpoint", "accounts_user")


def test_no_search_reads_a_big_table_from_its_start(desk: Client, shop: Instance, message: Message) -> None:
    """3 000 endpoints, 40 000 hooks, 20 000 messages: every plan uses indexes."""
    fill()
    hook = Hook.objects.filter(message=message.message_id).latest("pk")
    texts = [
        "+4915112345678", "+49151123", "0151 12345678", "+17680561234", "https://bot.shop.example/h",
        "shop.example", "alice@example.org",
        message.message_id, hook.webhook_id, "1319968252",
    ]  # fmt: skip
    for text in texts:
        with CaptureQueriesContext(connection) as queries:
            assert found(desk, text)
        for query in queries.captured_queries:
            if not query["sql"].startswith("SELECT"):
                continue
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"), [])
                plan = "\n".join(row[0] for row in cursor.fetchall())
            assert not re.search(rf"Seq Scan on ({'|'.join(BIG)})\b", plan), (
                f"{text}:\n{query['sql']}\n{plan}"
            )


def test_a_part_of_a_phone_is_found_by_both_indexes(shop: Instance) -> None:
    fill()
    for digits in ("49151123", "12345678"):
        with connection.cursor() as cursor:
            sql, values = Instance.objects.with_part_of_phone(digits).values("pk").query.sql_with_params()
            cursor.execute(f"EXPLAIN {sql}", values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "instances_phone_start" in plan and "instances_phone_end" in plan, plan
        assert "Seq Scan" not in plan


def fill() -> None:
    owner = AccountFactory(email="big@example.org")
    User.objects.bulk_create([User(email=f"user{n}@example.org") for n in range(3_000)])
    instances = Instance.objects.bulk_create(
        [Instance(owner=owner, number=30_000 + n, phone=f"1555{n:07}") for n in range(3_000)]
    )
    Endpoint.objects.bulk_create(
        [
            Endpoint(pk=one.pk, instance=one, first_of=one, url=f"https://host{one.number}.example/in")
            for one in instances
        ]
    )
    busy = instances[:10]
    chats = Chat.objects.bulk_create(
        [
            Chat(instance=one, chat_id=f"1768{n:07}@c.us", stored_last_time=timezone.now())
            for one in busy
            for n in range(200)
        ]
    )
    Message.objects.bulk_create(
        [
            Message(
                instance_id=chat.instance_id, chat=chat, number=place * 10 + n, message_id=f"false_{chat.chat_id}_{n}",
                author=chat.chat_id, type="chat", body="x", time=timezone.now() - timedelta(days=1),
            )
            for place, chat in enumerate(chats)
            for n in range(10)
        ],
        batch_size=5_000,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO hooks_hook (public_id, endpoint_id, kind, body, message, chat, state, skip_reason, simulated,"
            " to_url, trigger, attempts_made, attempts_allowed, claim, created_at, finished_at, last_outcome,"
            " last_host) SELECT gen_random_uuid(), m.instance_id, %s, '', m.message_id, '', 'delivered', '', false,"
            " '', 'event', 1, 1, 0, now(), now(), '', 'x.example'"
            " FROM instances_message m CROSS JOIN generate_series(1, 2)",
            [Kind.MESSAGE],
        )
        for table in (*BIG, "instances_instance"):
            cursor.execute(f"ANALYZE {table}")

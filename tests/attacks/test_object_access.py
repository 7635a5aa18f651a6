"""Ids of another account, in the path, the query and the body: nothing of it is shown, and nothing in it changes.

The permission table has the expected status of each URL, with empty bodies and one request at a time. Here each
visitor sends every verb with every field filled in, and the database is the same afterwards.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Account
from hooks.models import Hook, Redelivery
from instances.contract.registry import METHODS
from instances.contract.urls import urlpatterns
from instances.models import Instance, Label
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.models import Bin, Share
from tests.attacks.database import changed, digests, digests_of
from tests.attacks.world import EVERYTHING, PRIVATE, VERBS, Target, of_an_object
from tests.chatapi.permissions import ADDRESSES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

assert urlpatterns  # whose import fills METHODS
NAMES = of_an_object()
# 302: to the page for signing in. 401: no key, or a wrong one. 405: no such verb for any visitor.
REFUSED = {302, 401, 403, 404, 405}
OUTSIDERS = ("anonymous", "stranger", "removed", "blocked", "clerk")
FEW_VERBS = ("GET", "POST")  # pages accept no others (tests/chatapi/test_permissions.py)


def text_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode(errors="replace")


def culprits(target: Target, visitor: str, names: list[str]) -> list[str]:
    """The requests that change a row, each tried alone. Only called to explain a failure."""
    found = []
    for name in names:
        for verb in VERBS:
            with transaction.atomic():
                before = digests()
                target.ask(name, verb, visitor)
                if tables := changed(before, digests()):
                    found.append(f"{verb} {name}: {tables}")
                transaction.set_rollback(True)
    return found


@pytest.mark.parametrize("visitor", OUTSIDERS)
def test_an_outsider_sees_and_changes_nothing(visitor: str) -> None:
    target = Target()
    before, wrong = digests(), []
    for name in NAMES:
        for verb in VERBS if name.startswith("instances-api:") else FEW_VERBS:
            response = target.ask(name, verb, visitor)
            is_description = verb == "OPTIONS" and response.status_code == 200  # of the URL, the same for all
            if response.status_code not in REFUSED and not is_description:
                wrong.append(f"{verb} {name}: {response.status_code}")
            text = text_of(response)
            wrong += [f"{verb} {name} shows {word!r}" for word in PRIVATE if word in text]
    assert wrong == []
    assert changed(before, digests()) == [], culprits(target, visitor, NAMES)


def test_a_viewer_changes_nothing() -> None:
    target = Target()
    names = [name for name in NAMES if name != "accounts:member-leave"]  # a viewer may leave
    before = digests()
    for name in names:
        for verb in FEW_VERBS:
            assert target.ask(name, verb, "viewer").status_code < 500
    assert changed(before, digests()) == [], culprits(target, "viewer", names)


def test_the_owner_changes_things_by_the_same_requests() -> None:
    """The control: the requests above are refused because of who sends them, not because they do nothing."""
    target = Target()
    effective = set()
    for name in NAMES:
        for verb in ("POST", "PATCH") if name.startswith("instances-api:") else ("POST",):
            with transaction.atomic():
                before = digests()
                target.ask(name, verb, "owner")
                if changed(before, digests()):
                    effective.add(name)
                transaction.set_rollback(True)
    assert len(effective) >= 40, sorted(set(NAMES) - effective)


# -- the wire contract: a stranger with an instance and a key of their own


def call(target: Target, path: str, fields: dict[str, Any]) -> Any:
    return target.client("anonymous").generic("POST", path, json.dumps(fields), "application/json")


def test_a_token_opens_its_own_instance_only() -> None:
    target = Target()
    own, other = target.theirs, target.instance
    before = digests_of(target.account)
    for method in sorted(METHODS):
        if METHODS[method].by_uid:
            continue
        fields = EVERYTHING | {"token": own.token, "instanceId": str(own.number)}
        twice = {"token": [own.token, other.token[:5]], "instanceId": [str(own.number), str(other.number)]}
        for path, sent in (
            (f"/instance{other.number}/{method}", fields),
            (f"/instance{other.number}/{method}?token={own.token}", fields),
            (f"/{method}?instanceId={other.number}&token={own.token}", fields | twice),
            (f"/{method}?instanceId={own.number}&instanceId={other.number}&token={own.token}", fields),
            (f"/instance{other.number}/{method}?instanceId={own.number}&token={own.token}", {}),
        ):
            response = call(target, path, sent)
            assert response.status_code == 401, (path, sent, response.content)
    assert changed(before, digests_of(target.account)) == []


def test_a_body_cannot_name_another_instance_than_the_url() -> None:
    """The instance of the path or the query is meant; `instanceId` in the body is not read."""
    target = Target()
    own, other = target.theirs, target.instance
    before = digests_of(target.account)
    fields = EVERYTHING | {
        "instanceId": str(other.number),
        "chatId": target.chat,
        "messageId": target.messages[0],
    }
    for method in sorted(METHODS):
        if not METHODS[method].by_uid:
            for path in (f"/instance{own.number}/{method}", f"/{method}?instanceId={own.number}"):
                sign = "&" if "?" in path else "?"
                response = call(target, f"{path}{sign}token={own.token}", fields)
                assert not [word for word in PRIVATE if word in text_of(response)], method
    assert changed(before, digests_of(target.account)) == []


def test_an_accounts_key_opens_its_own_instances_only() -> None:
    target = Target()
    key, other = target.keys["stranger"], target.instance
    before = digests_of(target.account)
    for method in ("deleteInstance", "cleanInstance"):
        for path, fields in (
            (f"/{method}?uid={key}&instanceId={other.number}", {}),
            (f"/{method}", {"uid": key, "instanceId": str(other.number)}),
            (f"/{method}?uid={key}&instanceId={target.theirs.number}", {"instanceId": str(other.number)}),
            (f"/instance{other.number}/{method}?uid={key}", {}),
            (f"/{method}?uid={other.token}&instanceId={other.number}", {}),
            (f"/{method}?uid={target.account.pk}&instanceId={other.number}", {}),
        ):
            with transaction.atomic():  # the third may delete the stranger's own
                call(target, path, fields)
                assert changed(before, digests_of(target.account)) == [], (path, fields)
                transaction.set_rollback(True)
    listed = call(target, f"/listInstances?uid={key}&instanceId={other.number}", {}).json()["result"]
    assert str(other.number) not in {str(found["id"]) for found in listed}


def test_ids_of_another_accounts_rows_mean_nothing_in_ones_own_instance() -> None:
    """Message, chat, label and group ids of alice, sent to the stranger's instance with its right token."""
    target = Target()
    label = Label.objects.create(instance=target.instance, name="Private label", color="#dfaef0")
    before = digests_of(target.account)
    for id in target.messages[:2]:
        fields = EVERYTHING | {
            "messageId": id, "msgId": id, "quotedMsgId": id, "chatId": target.chat, "labelId": str(label.pk),
            "groupId": target.chat, "contactId": target.chat, "participantChatId": target.chat,
        }  # fmt: skip
        for method in sorted(METHODS):
            if not METHODS[method].by_uid:
                response = call(
                    target, f"/instance{target.theirs.number}/{method}?token={target.theirs.token}", fields
                )
                shown = [word for word in (*PRIVATE, "Private label") if word in text_of(response)]
                assert shown == [], method
    assert changed(before, digests_of(target.account)) == []


# -- REST and the pages


def test_filters_of_rest_find_nothing_of_another_account() -> None:
    target = Target()
    client = target.client("stranger", by_key=True)
    number, hook = target.instance.number, f"hook_{target.hook.public_id.hex}"
    before = digests()
    for query in (
        f"instance={number}", f"message={target.messages[0]}", f"chat={target.chat}", f"job={target.job.public_id}",
        f"redelivery=redelivery_{target.job.public_id.hex}", f"instance={number}&instance={target.theirs.number}",
        f"after={hook}", f"before={hook}", f"cursor={hook}", f"account={target.account.pk}",
        f"owner={target.account.pk}", "state=cancelled", "q=jacket",
    ):  # fmt: skip
        for place in ("hooks", "redeliveries", "instances"):
            text = text_of(client.get(f"/api/v1/{place}/?{query}"))
            assert not [word for word in (*PRIVATE, hook, str(number)) if word in text.replace(query, "")], (
                query
            )
    for fields in (
        {"instance": str(number)}, {"instances": [str(number)]}, {"hooks": [hook]},
        {"instance": str(target.theirs.number), "hooks": [hook]},
        {"instance": [str(number)], "state": ["cancelled"]},
    ):  # fmt: skip
        with transaction.atomic():
            mine = Redelivery.objects.count()
            response = client.post("/api/v1/redeliveries/", json.dumps(fields), "application/json")
            if response.status_code >= 300:
                assert Redelivery.objects.count() == mine
            assert not Hook.objects.filter(
                redelivery__pk__gt=target.job.pk, endpoint_id=target.instance.pk
            ).exists()
            transaction.set_rollback(True)
    assert changed(before, digests()) == []


def test_rest_cannot_give_an_object_to_another_account() -> None:
    """Fields that name an owner are unknown, and so refused: the instance stays where it was."""
    target = Target()
    before = digests_of(target.account)
    client = target.client("stranger", by_key=True)
    for field in (
        "owner",
        "account",
        "owner_id",
        "ownerId",
        "id",
        "number",
        "token",
        "paidUntil",
        "paid_until",
    ):
        for verb, path in (
            ("POST", "/api/v1/instances/"),
            ("PATCH", f"/api/v1/instances/{target.theirs.number}/"),
        ):
            client.generic(verb, path, json.dumps({field: target.account.pk}), "application/json")
    assert changed(before, digests_of(target.account)) == []
    assert Instance.objects.get(pk=target.theirs.pk).owner_id == target.people["stranger"].account.pk


def test_a_capture_and_a_link_belong_to_one_bin() -> None:
    """alice's capture and the link that she shared, through the stranger's own bin."""
    target = Target()
    account = target.people["stranger"].account
    own = bin_actions.open_own_bin(account)
    client, before = target.client("stranger"), digests()
    arguments = {
        "key": own.key,
        "public_id": target.capture.public_id,
        "index": 0,
        "share": Share.objects.get().pk,
    }
    for name in sorted(ADDRESSES):
        if name.startswith("testing:bin-") and ADDRESSES[name] & {"public_id", "share"}:
            path = reverse(name, kwargs={key: arguments[key] for key in ADDRESSES[name]})
            for verb in ("GET", "POST"):
                response = client.generic(verb, path)
                assert response.status_code in (404, 405), (verb, path)
    assert changed(before, digests()) == []


def test_a_shared_link_opens_one_bin_and_can_be_revoked() -> None:
    target = Target()
    other = Bin.objects.exclude(pk=target.bin.pk).get()
    capture = other.captures.first()
    assert capture is not None
    anonymous = Client()
    assert anonymous.get(target.address("shared:capture")).status_code == 200
    path = reverse("shared:capture", kwargs={"token": target.share_token, "public_id": capture.public_id})
    assert anonymous.get(path).status_code == 404
    for verb in ("POST", "PUT", "DELETE", "PATCH"):
        assert anonymous.generic(verb, target.address("shared:bin")).status_code == 405
    target.client("owner").post(
        reverse("testing:bin-revoke", kwargs={"key": target.bin.key, "share": Share.objects.get().pk})
    )
    for name in ("shared:bin", "shared:capture", "shared:body"):
        assert anonymous.get(target.address(name)).status_code in (404, 410), name


def test_forms_cannot_name_an_object_of_another_account() -> None:
    """The stranger's own instance in the query, and alice's ids in the fields."""
    target = Target()
    client, own = target.client("stranger"), target.theirs.number
    before = digests_of(target.account)
    fields = EVERYTHING | {
        "instance": target.instance.number, "number": target.instance.number, "account": target.account.pk,
        "hook": [str(target.hook.public_id), f"hook_{target.hook.public_id.hex}"], "owner": target.account.pk,
        "forward": target.messages[0], "quoted": target.messages[0], "message": target.messages[0],
        "user": target.account.owner_id, "chat": target.chat, "key": target.bin.key, "contact": target.chat,
    }  # fmt: skip
    for name in sorted(ADDRESSES):
        if name.startswith(("testing:", "log:", "instances:", "accounts:")):
            arguments = {"number": own} if ADDRESSES[name] == {"number"} else None
            if (ADDRESSES[name] and arguments is None) or name == "instances:delete":
                continue
            response = client.post(f"{reverse(name, kwargs=arguments)}?instance={own}", fields)
            assert not [word for word in PRIVATE if word in text_of(response)], name
    assert changed(before, digests_of(target.account)) == []


def test_no_other_account_is_opened_by_a_new_instance() -> None:
    target = Target()
    before = Account.objects.get(pk=target.account.pk).instances.count()
    target.client("stranger").post(
        reverse("instances:new"), {"account": target.account.pk, "channel": "sandbox"}
    )
    target.client("viewer").post(
        reverse("instances:new"), {"account": target.account.pk, "channel": "sandbox"}
    )
    target.client("removed").post(
        reverse("instances:new"), {"account": target.account.pk, "channel": "sandbox"}
    )
    assert target.account.instances.count() == before


# -- staff


def test_staff_without_a_permission_open_and_change_nothing() -> None:
    """Every page and form of the support desk, as a member of staff without groups."""
    target = Target()
    client = target.client("clerk")
    before, opened = digests(), []
    for name in sorted(ADDRESSES):
        if name.startswith("admin:"):
            known = {"app_label": "hooks", "tool": "block", "public_id": target.issue.public_id}
            path = reverse(name, kwargs={key: known.get(key, target.account.pk) for key in ADDRESSES[name]})
            for verb in ("GET", "POST"):
                form = "action=delete_selected&_selected_action=1&post=yes"
                response = client.generic(verb, path, form, "application/x-www-form-urlencoded")
                text = text_of(response)
                opened += [f"{verb} {name} shows {word}" for word in PRIVATE if word in text]
                if response.status_code not in REFUSED and name not in OPEN_TO_ALL_STAFF:
                    opened.append(f"{verb} {name}: {response.status_code}")
    assert opened == []
    assert changed(before, digests()) == []


# their own password, pages that show each group its own part, and scripts
OPEN_TO_ALL_STAFF = {
    "admin:index", "admin:search", "admin:tables", "admin:login", "admin:jsi18n", "admin:password_change",
    "admin:logout",
}  # fmt: skip

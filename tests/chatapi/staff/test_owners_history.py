"""An account's owner sees its audit log, including views by staff; other users do not."""

import pytest
from django.test import Client

from accounts.actions import members
from accounts.audit import AuditEntry
from accounts.models import User
from instances.actions.settings import change_settings
from instances.actions.stopping import stop_instance
from instances.models import Instance
from tests.factories import UserFactory

PAGE = "/account/history/"


def test_it_tells_of_oneself_of_tokens_and_of_staff(
    alice: Client, instance: Instance, charlie: User, staff: Client
) -> None:
    change_settings(instance, changes={"sendDelay": 3}, acting_user=instance.owner.owner)
    change_settings(instance, changes={"sendDelay": 4}, acting_user=None)
    stop_instance(instance, reason="looks like spam", acting_user=charlie)
    staff.post(f"/admin/accounts/account/do/look/?pk={instance.owner_id}", {"reason": "ticket 7"})
    staff.get("/log/")
    rows = [(row["actor"], row["entry"].action) for row in alice.get(PAGE).context["rows"]]
    assert rows[:5] == [
        ("Staff of this site", "look.page"),
        ("Staff of this site", "look.started"),
        ("Staff of this site", "instance.stopped"),
        ("A token or a program", "instance.settings"),
        ("You", "instance.settings"),
    ]
    page = alice.get(PAGE).content.decode()
    assert "sendDelay" in page and "/log/" in page
    for private in ("charlie@example.org", "ticket 7", "looks like spam"):
        assert private not in page


def test_older_ones_follow_by_key(alice: Client, instance: Instance) -> None:
    for number in range(60):
        change_settings(instance, changes={"sendDelay": number + 1}, acting_user=None)
    first = alice.get(PAGE)
    second = alice.get(PAGE, {"before": first.context["older"]})
    keys = [row["entry"].pk for answer in (first, second) for row in answer.context["rows"]]
    assert len(first.context["rows"]) == 50
    assert keys == sorted(keys, reverse=True) and len(set(keys)) == len(keys)
    assert second.context["older"] is None
    assert alice.get(PAGE, {"before": "9" * 30}).status_code == 200


def test_members_and_strangers_see_their_own(alice: Client, instance: Instance) -> None:
    bob = UserFactory(email="bob@example.org")
    owner = instance.owner.owner
    _, token = members.invite(instance.owner, email="bob@example.org", role="manager", acting_user=owner)
    members.accept(token, acting_user=bob)
    client = Client()
    client.force_login(bob)
    assert [row["entry"].action for row in client.get(PAGE).context["rows"]] == ["account.signed_up"]
    assert Client().get(PAGE).status_code == 302


def test_no_row_makes_a_list_of_all_actions(
    alice: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """get_action_display() makes one in every call, 50 times on this page: 100 of its 143 ms."""
    change_settings(instance, changes={"sendDelay": 3}, acting_user=None)
    monkeypatch.delattr(AuditEntry, "get_action_display")
    page = alice.get(PAGE)
    assert page.context["rows"][0]["entry"].action_label == "Settings changed"
    assert "Settings changed:" in page.text

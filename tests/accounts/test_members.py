"""Members of an account: invite, accept, cancel, change, remove; and what each role may see and change."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import override_settings

from accounts.actions import members
from accounts.actions.users import sign_up
from accounts.models import Account, Invitation, Member, Role, User
from instances.models import Instance
from tests.factories import InstanceFactory, member_of

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def test_accepting_an_invitation_creates_a_member(alice: Account, dora: User) -> None:
    invitation, token = members.invite(
        alice, email=" Dora@Example.org ", role="viewer", acting_user=alice.owner
    )

    member = members.accept(token, acting_user=dora)

    assert (member.account, member.user, member.role) == (alice, dora, Role.VIEWER)
    invitation.refresh_from_db()
    assert invitation.accepted_at is not None


def test_the_token_is_not_stored(alice: Account) -> None:
    _, token = members.invite(alice, email="dora@example.org", role="viewer", acting_user=alice.owner)

    assert not [value for value in Invitation.objects.values_list().get() if token in str(value)]


def test_an_invitation_can_be_accepted_once(alice: Account, dora: User) -> None:
    _, token = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)
    members.remove(members.accept(token, acting_user=dora), acting_user=alice.owner)

    with pytest.raises(members.NotInvited, match="already accepted"):
        members.accept(token, acting_user=dora)
    assert Member.objects.count() == 0


def test_an_invitation_is_for_one_address(alice: Account, dora: User) -> None:
    bob = sign_up("bob@example.org", password="correct horse 9").owner
    _, token = members.invite(alice, email=dora.email, role="manager", acting_user=alice.owner)

    with pytest.raises(members.NotInvited, match="is for dora@example"):
        members.accept(token, acting_user=bob)
    assert Member.objects.count() == 0


def test_an_invitation_expires_after_seven_days(alice: Account, dora: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        _, token = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)
        clock.shift(timedelta(days=7))
        with pytest.raises(members.NotInvited, match="has expired"):
            members.accept(token, acting_user=dora)
        clock.shift(timedelta(seconds=-1))
        assert members.accept(token, acting_user=dora).user == dora


def test_a_cancelled_invitation_cannot_be_accepted(alice: Account, dora: User) -> None:
    invitation, token = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)

    members.revoke(invitation, acting_user=alice.owner)

    with pytest.raises(members.NotInvited, match="cancelled"):
        members.accept(token, acting_user=dora)
    assert Member.objects.count() == 0


@pytest.mark.parametrize("wrong", ["", "x", "é\x7f"])
def test_a_wrong_token_cannot_be_accepted(alice: Account, dora: User, wrong: str) -> None:
    members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)

    with pytest.raises(members.NotInvited):
        members.accept(wrong, acting_user=dora)


def test_a_second_invitation_to_an_address_revokes_the_first(alice: Account, dora: User) -> None:
    _, first = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)
    _, second = members.invite(alice, email=dora.email, role="manager", acting_user=alice.owner)

    with pytest.raises(members.NotInvited):
        members.accept(first, acting_user=dora)
    assert members.accept(second, acting_user=dora).role == Role.MANAGER


def test_the_owner_and_members_cannot_be_invited(alice: Account, dora: User) -> None:
    member_of(alice, "viewer", "emil@example.org")

    for email, said in (
        ("Alice@example.org", "belongs to the owner"),
        ("emil@example.org", "already a member"),
    ):
        with pytest.raises(members.NotInvited, match=said):
            members.invite(alice, email=email, role="viewer", acting_user=alice.owner)
    assert Invitation.objects.filter(accepted_at=None).count() == 0


def test_an_account_has_at_most_fifty_members(alice: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 1)
    members.invite(alice, email="dora@example.org", role="viewer", acting_user=alice.owner)

    members.invite(
        alice, email="dora@example.org", role="manager", acting_user=alice.owner
    )  # in place of the first
    with pytest.raises(members.NotInvited, match="at most 1"):
        members.invite(alice, email="emil@example.org", role="viewer", acting_user=alice.owner)


def test_which_roles_may_see_and_change(alice: Account) -> None:
    instance = InstanceFactory(owner=alice)
    elsewhere = InstanceFactory()
    manager, viewer = member_of(alice, "manager"), member_of(alice, "viewer")
    bob = sign_up("bob@example.org", password="correct horse 9").owner

    found = {
        name: (
            [(row, row.may_change) for row in Instance.objects.visible_to(user)],
            list(Instance.objects.changeable_by(user)),
            list(Account.objects.changeable_by(user).exclude(owner=user)),
            list(Account.objects.owned_by(user).exclude(owner=user)),
        )
        for name, user in (("alice", alice.owner), ("manager", manager), ("viewer", viewer), ("bob", bob))
    }

    assert found == {
        "alice": ([(instance, True)], [instance], [], []),
        "manager": ([(instance, True)], [instance], [alice], []),
        "viewer": ([(instance, False)], [], [], []),
        "bob": ([], [], [], []),
    }
    assert list(Instance.objects.visible_to(elsewhere.owner.owner)) == [elsewhere]


def test_a_manager_who_becomes_a_viewer_may_only_read(alice: Account, dora: User) -> None:
    instance = InstanceFactory(owner=alice)
    member = Member.objects.get(user=member_of(alice, "manager"))

    members.change_role(member, role="viewer", acting_user=alice.owner)

    assert list(Instance.objects.visible_to(member.user)) == [instance]
    assert not Instance.objects.changeable_by(member.user).exists()


def test_a_removed_member_sees_nothing(alice: Account) -> None:
    InstanceFactory(owner=alice)
    member = Member.objects.get(user=member_of(alice, "manager"))

    members.remove(member, acting_user=alice.owner)

    assert not Instance.objects.visible_to(member.user).exists()


@override_settings(QUOTA_INVITATIONS_PER_DAY=2)
def test_the_limit_of_invitations_per_day(alice: Account) -> None:
    """Each cancelled and repeated invitation is another unsolicited mail."""
    with time_machine.travel(NOON, tick=False):
        for _ in range(2):
            members.revoke(
                members.invite(alice, email="dora@example.org", role="viewer", acting_user=alice.owner)[0],
                acting_user=alice.owner,
            )
        with pytest.raises(members.NotInvited, match="uses 2 of 2 invitations in 24 hours"):
            members.invite(alice, email="dora@example.org", role="viewer", acting_user=alice.owner)
    with time_machine.travel(NOON + timedelta(days=1, seconds=1), tick=False):
        members.invite(alice, email="dora@example.org", role="viewer", acting_user=alice.owner)

"""The pages of members: invite by mail or by a link, accept as the invited user, leave."""

import re
from smtplib import SMTPException

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.actions import members
from accounts.actions.users import sign_up
from accounts.models import Account, Invitation, Member, User
from instances.models import Instance
from tests.factories import InstanceFactory, member_of

pytestmark = pytest.mark.django_db
MEMBERS = reverse("accounts:members")


@pytest.fixture
def alice() -> Account:
    return sign_up("alice@example.org", password="correct horse 9", name="Alice's shop")


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def invite(alice: Account, email: str = "dora@example.org", role: str = "viewer") -> str:
    """The page of the response."""
    return browser(alice.owner).post(MEMBERS, {"email": email, "role": role}, follow=True).content.decode()


def test_without_mail_the_owner_sees_the_link_once(alice: Account) -> None:
    page = invite(alice)

    (link,) = set(re.findall(r"http://localhost:8000/account/invitation/\?token=[\w-]{32}", page))
    assert "This server sends no mail" in page
    assert mail.outbox == []
    assert link not in browser(alice.owner).get(MEMBERS).content.decode()
    assert Client().get(link).status_code == 200


def test_with_mail_the_link_is_sent_and_not_shown(alice: Account, settings: Settings) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"

    page = invite(alice)

    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["dora@example.org"], "You are invited to Alice's shop in Chat API")
    (link,) = re.findall(r"http://localhost:8000/account/invitation/\?token=[\w-]{32}", str(sent.body))
    assert "The invitation has been sent to dora@example.org." in page
    assert link not in page


def test_if_the_mail_fails_the_link_is_shown(
    alice: Account, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise SMTPException("no")

    settings.EMAIL_URL = "smtp://mail.example.org"
    monkeypatch.setattr(EmailBackend, "send_messages", refuse)

    page = invite(alice)

    assert "The mail could not be sent" in page
    assert "/account/invitation/?token=" in page
    assert Invitation.objects.count() == 1


@pytest.mark.parametrize(
    ("email", "role", "said"),
    [
        ("nobody", "viewer", "Enter a valid email address."),
        ("", "viewer", "Enter the e-mail address of the user to invite."),
        ("dora@example.org", "owner", "Choose viewer or manager."),
        ("alice@example.org", "viewer", "This address belongs to the owner of the account."),
    ],
)
def test_an_invalid_invitation_is_explained(alice: Account, email: str, role: str, said: str) -> None:
    assert said in invite(alice, email, role)
    assert Invitation.objects.count() == 0


def test_signed_out_users_sign_in_and_return_to_the_link(alice: Account, dora: User) -> None:
    _, token = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)
    client = Client()

    page = client.get(reverse("accounts:invitation"), {"token": token}).content.decode()
    (login,) = re.findall(r'href="(/accounts/login/\?next=[^"]+)"', page)
    response = client.post(login, {"login": dora.email, "password": "correct horse 9"}, follow=True)

    assert "Alice&#x27;s shop" in page
    assert response.request["PATH_INFO"] == reverse("accounts:invitation")
    assert "Accept" in response.content.decode()


def test_accepting_makes_the_instances_visible(alice: Account, dora: User) -> None:
    instance = InstanceFactory(owner=alice, name="Support line")
    _, token = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)

    page = browser(dora).post(reverse("accounts:invitation-accept"), {"token": token}, follow=True)

    assert "You are now a viewer of Alice&#x27;s shop." in page.content.decode()
    assert "Support line" in page.content.decode()
    assert list(Instance.objects.visible_to(dora)) == [instance]


def test_other_users_see_for_whom_the_link_is(alice: Account, dora: User) -> None:
    _, token = members.invite(alice, email="emil@example.org", role="viewer", acting_user=alice.owner)

    page = browser(dora).get(reverse("accounts:invitation"), {"token": token}).content.decode()
    browser(dora).post(reverse("accounts:invitation-accept"), {"token": token})

    assert (
        "The invitation is for <b>emil@example.org</b>, and you are signed in as <b>dora@example.org</b>"
        in page
    )
    assert Member.objects.count() == 0


def test_an_expired_link_is_explained(alice: Account) -> None:
    invitation, token = members.invite(
        alice, email="dora@example.org", role="viewer", acting_user=alice.owner
    )
    browser(alice.owner).post(reverse("accounts:invitation-revoke", args=[invitation.pk]))

    response = Client().get(reverse("accounts:invitation"), {"token": token})

    assert response.status_code == 404
    assert "This link is not valid" in response.content.decode()


def test_the_owner_changes_a_role_and_removes_a_member(alice: Account) -> None:
    member = Member.objects.get(user=member_of(alice, "viewer"))
    client = browser(alice.owner)

    client.post(reverse("accounts:member-role", args=[member.pk]), {"role": "manager"})
    member.refresh_from_db()
    assert member.role == "manager"

    client.post(reverse("accounts:member-remove", args=[member.pk]))
    assert not Member.objects.exists()


def test_a_member_leaves(alice: Account) -> None:
    user = member_of(alice, "manager")
    client = browser(user)
    assert "Other accounts" in client.get(reverse("accounts:account")).content.decode()

    page = client.post(reverse("accounts:member-leave", args=[Member.objects.get().pk]), follow=True)

    assert "You have left Alice&#x27;s shop." in page.content.decode()
    assert not Member.objects.exists()


def test_a_manager_creates_an_instance_in_the_chosen_account(alice: Account) -> None:
    manager = member_of(alice, "manager")
    client = browser(manager)

    client.post(reverse("instances:new"), {"name": "Hers", "channel": "sandbox", "account": alice.pk})
    client.post(
        reverse("instances:new"), {"name": "Own", "channel": "sandbox", "account": manager.account.pk}
    )

    assert {found.name: found.owner for found in Instance.objects.all()} == {
        "Hers": alice,
        "Own": manager.account,
    }


@pytest.mark.parametrize("role", ["viewer", None])
def test_without_managed_accounts_the_own_account_is_used(alice: Account, dora: User, role: str) -> None:
    user = member_of(alice, role, "emil@example.org") if role else dora
    client = browser(user)

    assert 'name="account"' not in client.get(reverse("instances:new")).content.decode()
    client.post(reverse("instances:new"), {"name": "Mine", "channel": "sandbox", "account": alice.pk})

    assert Instance.objects.get().owner == user.account

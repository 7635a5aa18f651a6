"""The pages of members: inviting by mail or by a link to copy, accepting as the right person, leaving."""

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
    """The page that answers."""
    return browser(alice.owner).post(MEMBERS, {"email": email, "role": role}, follow=True).content.decode()


def test_without_mail_the_owner_sees_the_link_once(alice: Account) -> None:
    page = invite(alice)

    (link,) = set(re.findall(r"http://localhost:8000/account/invitation/\?token=[\w-]{32}", page))
    assert "This server sends no mail" in page
    assert mail.outbox == []
    assert link not in browser(alice.owner).get(MEMBERS).content.decode()
    assert Client().get(link).status_code == 200


def test_with_mail_the_link_is_mailed_and_not_shown(alice: Account, settings: Settings) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"

    page = invite(alice)

    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["dora@example.org"], "You are invited to Alice's shop in Chat API")
    (link,) = re.findall(r"http://localhost:8000/account/invitation/\?token=[\w-]{32}", str(sent.body))
    assert "The invitation has been sent to dora@example.org." in page
    assert link not in page


def test_a_mail_that_cannot_be_sent_leaves_the_link_to_copy(
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
def test_a_wrong_invitation_says_what_is_wrong(alice: Account, email: str, role: str, said: str) -> None:
    assert said in invite(alice, email, role)
    assert Invitation.objects.count() == 0


def test_the_link_leads_strangers_to_the_sign_in_and_back(alice: Account, dora: User) -> None:
    _, token = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)
    client = Client()

    page = client.get(reverse("accounts:invitation"), {"token": token}).content.decode()
    (login,) = re.findall(r'href="(/accounts/login/\?next=[^"]+)"', page)
    answer = client.post(login, {"login": dora.email, "password": "correct horse 9"}, follow=True)

    assert "Alice&#x27;s shop" in page
    assert answer.request["PATH_INFO"] == reverse("accounts:invitation")
    assert "Accept" in answer.content.decode()


def test_accepting_makes_the_instances_visible(alice: Account, dora: User) -> None:
    instance = InstanceFactory(owner=alice, name="Support line")
    _, token = members.invite(alice, email=dora.email, role="viewer", acting_user=alice.owner)

    page = browser(dora).post(reverse("accounts:invitation-accept"), {"token": token}, follow=True)

    assert "You are now a viewer of Alice&#x27;s shop." in page.content.decode()
    assert "Support line" in page.content.decode()
    assert list(Instance.objects.visible_to(dora)) == [instance]


def test_somebody_else_is_told_whom_the_link_is_for(alice: Account, dora: User) -> None:
    _, token = members.invite(alice, email="emil@example.org", role="viewer", acting_user=alice.owner)

    page = browser(dora).get(reverse("accounts:invitation"), {"token": token}).content.decode()
    browser(dora).post(reverse("accounts:invitation-accept"), {"token": token})

    assert (
        "The invitation is for <b>emil@example.org</b>, and you are signed in as <b>dora@example.org</b>"
        in page
    )
    assert Member.objects.count() == 0


def test_a_link_that_has_ended_says_so(alice: Account) -> None:
    invitation, token = members.invite(
        alice, email="dora@example.org", role="viewer", acting_user=alice.owner
    )
    browser(alice.owner).post(reverse("accounts:invitation-revoke", args=[invitation.pk]))

    answer = Client().get(reverse("accounts:invitation"), {"token": token})

    assert answer.status_code == 404
    assert "This link is not valid" in answer.content.decode()


def test_the_owner_changes_a_role_and_takes_a_member_out(alice: Account) -> None:
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


def test_a_manager_makes_an_instance_in_the_account_they_choose(alice: Account) -> None:
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
def test_who_manages_no_other_account_is_not_asked_and_gets_their_own(
    alice: Account, dora: User, role: str
) -> None:
    user = member_of(alice, role, "emil@example.org") if role else dora
    client = browser(user)

    assert 'name="account"' not in client.get(reverse("instances:new")).content.decode()
    client.post(reverse("instances:new"), {"name": "Mine", "channel": "sandbox", "account": alice.pk})

    assert Instance.objects.get().owner == user.account

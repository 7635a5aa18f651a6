"""Equal requests at once: the later ones get what they would get a moment later, no 500, and no address is logged."""

import time
from collections import Counter
from threading import Barrier
from typing import Any

import pytest
import requests
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.actions import keys, members
from accounts.actions.users import open_account, sign_up
from accounts.adapters import AccountAdapter
from accounts.models import Account, AccountKey, AuditEntry, Invitation, Member, User
from tests.authenticator_app import code_of
from tests.product import Product
from tests.threads import results_in_threads

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse 9"
FORM = {"email": "alice@example.org", "password1": PASSWORD, "password2": PASSWORD}
TAKEN = "An account with this address already exists. Sign in, or reset its password."
COUNT = 4


def after_all_have_checked(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Makes `owner.name` wait, at its first COUNT calls, until all threads have come to it."""
    together, original, calls = Barrier(COUNT), getattr(owner, name), []

    def wait(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) <= COUNT:
            together.wait(30)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, wait)


def slow_down(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    """Makes `owner.name` start 0.3 s later, so that the requests overlap."""
    original = getattr(owner, name)

    def later(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.3)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, later)


def sign_up_at_once() -> list[Any]:
    return results_in_threads(lambda _: Client().post(reverse("account_signup"), FORM), COUNT)


def test_sign_ups_without_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, AccountAdapter, "save_user")
    responses = sign_up_at_once()
    assert Counter(response.status_code for response in responses) == {302: 1, 200: COUNT - 1}
    for response in responses:
        if response.status_code == 200:
            assert response.context["form"].errors == {"email": [TAKEN]}
    assert (User.objects.count(), Account.objects.count(), EmailAddress.objects.count()) == (1, 1, 1)
    assert AuditEntry.objects.filter(action="account.signed_up").count() == 1


def test_sign_ups_with_mail_do_not_reveal_that_the_address_is_taken(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.EMAIL_URL, settings.ACCOUNT_EMAIL_VERIFICATION = "submission://h", "mandatory"
    slow_down(monkeypatch, AccountAdapter, "save_user")
    responses = sign_up_at_once()
    later = Client().post(reverse("account_signup"), FORM)
    assert {(response.status_code, response["Location"]) for response in [*responses, later]} == {
        (302, reverse("account_email_verification_sent"))
    }
    assert User.objects.count() == 1
    assert [sent.subject for sent in mail.outbox] == ["[Chat API] Confirm your address"]


def test_a_sign_up_whose_mail_cannot_be_sent_can_be_repeated(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.EMAIL_URL, settings.ACCOUNT_EMAIL_VERIFICATION = "submission://h", "mandatory"
    client = Client(raise_request_exception=False)
    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", lambda *_: 1 / 0)
        assert client.post(reverse("account_signup"), FORM).status_code == 500
    assert not User.objects.exists()


def test_sign_ups_over_http_log_no_address(product: Product) -> None:
    form = FORM | {"email": "race@example.org"}
    before = len(product.lines)
    postgres_log = product.data_dir / "pg.log"
    start = postgres_log.stat().st_size

    def post(_: int) -> int:
        with requests.Session() as session:
            url = f"{product.url}/accounts/signup/"
            session.get(url, timeout=30)
            token = session.cookies["csrftoken"]
            response = session.post(
                url, form | {"csrfmiddlewaretoken": token}, timeout=30, allow_redirects=False
            )
            assert response.status_code == 302 or TAKEN in response.text
            return response.status_code

    assert Counter(results_in_threads(post, COUNT)) == {302: 1, 200: COUNT - 1}
    requests.get(f"{product.url}/behind/the-race", timeout=30)
    product.wait_for("/behind/the-race")
    logged = "\n".join(product.lines[before:]) + postgres_log.read_bytes()[start:].decode()
    assert "race@example.org" not in logged
    assert "Traceback" not in logged


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


def test_adding_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    user = sign_up("alice@example.org", password=PASSWORD).owner
    clients = [client_of(user) for _ in range(COUNT)]
    after_all_have_checked(monkeypatch, type(EmailAddress.objects), "add_email")
    form = {"email": "second@example.org", "action_add": ""}
    responses = results_in_threads(lambda n: clients[n].post(reverse("account_email"), form), COUNT)
    assert [response.status_code for response in responses] == [302] * COUNT
    assert EmailAddress.objects.filter(email="second@example.org").count() == 1


def test_choosing_a_main_address(monkeypatch: pytest.MonkeyPatch) -> None:
    user = sign_up("alice@example.org", password=PASSWORD).owner
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    for number in range(COUNT):
        EmailAddress.objects.create(user=user, email=f"{number}@example.org", verified=True)
    clients = [client_of(user) for _ in range(COUNT)]
    after_all_have_checked(monkeypatch, EmailAddress, "set_as_primary")

    def choose(number: int) -> int:
        form = {"email": f"{number}@example.org", "action_primary": ""}
        return clients[number].post(reverse("account_email"), form).status_code

    assert results_in_threads(choose, COUNT) == [302] * COUNT
    assert EmailAddress.objects.filter(primary=True).count() == 1


def test_turning_on_the_authenticator_app() -> None:
    user = sign_up("alice@example.org", password=PASSWORD).owner
    clients = [client_of(user) for _ in range(COUNT)]
    url = reverse("mfa_activate_totp")
    secrets = [client.get(url).context["form"].secret for client in clients]

    def activate(number: int) -> int:
        return clients[number].post(url, {"code": code_of(secrets[number])}).status_code

    assert set(results_in_threads(activate, COUNT)) == {302}
    assert Counter(Authenticator.objects.values_list("type", flat=True)) == {"totp": 1, "recovery_codes": 1}


def test_opening_the_account_of_a_user() -> None:
    user = User.objects.create(email="bob@example.org")
    accounts = results_in_threads(lambda _: open_account(User.objects.get(pk=user.pk)).pk, COUNT)
    assert len(set(accounts)) == Account.objects.count() == 1


def test_inviting_the_same_address() -> None:
    account = sign_up("alice@example.org", password=PASSWORD)

    def invite(_: int) -> int:
        mine = Account.objects.get(pk=account.pk)
        return members.invite(mine, email="dora@example.org", role="viewer", acting_user=mine.owner)[0].pk

    assert len(set(results_in_threads(invite, COUNT))) == COUNT
    assert Invitation.objects.open().count() == 1


def test_accepting_an_invitation_that_is_opened_twice() -> None:
    account = sign_up("alice@example.org", password=PASSWORD)
    dora = sign_up("dora@example.org", password=PASSWORD).owner
    _, token = members.invite(account, email=dora.email, role="viewer", acting_user=account.owner)
    clients = [client_of(dora) for _ in range(COUNT)]
    url = reverse("accounts:invitation-accept")
    responses = results_in_threads(lambda n: clients[n].post(url, {"token": token}), COUNT)
    assert Counter(response["Location"] for response in responses) == {
        reverse("instances:list"): 1,
        reverse("accounts:account"): COUNT - 1,
    }
    assert Member.objects.count() == 1


def test_removing_a_member() -> None:
    account = sign_up("alice@example.org", password=PASSWORD)
    dora = sign_up("dora@example.org", password=PASSWORD).owner
    _, token = members.invite(account, email=dora.email, role="viewer", acting_user=account.owner)
    member = members.accept(token, acting_user=dora)
    clients = [client_of(account.owner) for _ in range(COUNT)]
    url = reverse("accounts:member-remove", args=[member.pk])
    statuses = results_in_threads(lambda n: clients[n].post(url).status_code, COUNT)
    assert set(statuses) <= {302, 404}
    assert not Member.objects.exists()
    assert AuditEntry.objects.filter(action="member.removed").count() == 1


def test_rotating_the_key() -> None:
    account = sign_up("alice@example.org", password=PASSWORD)
    key, _ = keys.issue_key(account, acting_user=account.owner)

    def rotate(_: int) -> bool:
        try:
            keys.rotate_key(AccountKey.objects.get(pk=key.pk), acting_user=account.owner)
        except keys.NotPossible:
            return False
        return True

    assert results_in_threads(rotate, COUNT).count(True) == 1
    assert AccountKey.objects.filter(replaced_at=None).count() == 1

"""Sign-up, sign-in, sign-out and reset as a person meets them, and the mail that is not set up yet."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.test import Client, override_settings
from django.urls import reverse

from accounts.actions.users import sign_up
from accounts.models import Account, User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"


def test_signing_up_opens_an_account_and_leads_to_a_new_instance(client: Client) -> None:
    answer = client.post(
        reverse("account_signup"),
        {"email": "Alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
    )

    assert (answer.status_code, answer["Location"]) == (302, reverse("instances:new"))
    account = Account.objects.get()
    assert account.owner.email == "alice@example.org"
    assert client.session["_auth_user_id"] == str(account.owner.pk)


def test_an_address_that_is_taken_is_refused(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)

    answer = client.post(
        reverse("account_signup"),
        {"email": "alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
    )

    assert answer.status_code == 200
    assert answer.context["form"].errors == {
        "email": ["An account with this address already exists. Sign in, or reset its password."]
    }
    assert (User.objects.count(), Account.objects.count()) == (1, 1)


@pytest.mark.parametrize("email", ["alice@example.org", "ALICE@example.org"])
def test_signing_in_takes_the_address_in_any_case(client: Client, email: str) -> None:
    alice = sign_up("alice@example.org", password=PASSWORD).owner

    answer = client.post(reverse("account_login"), {"login": email, "password": PASSWORD})

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(alice.pk)


def test_a_wrong_password_signs_nobody_in(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)

    answer = client.post(reverse("account_login"), {"login": "alice@example.org", "password": "wrong"})

    assert answer.status_code == 200
    assert "E-mail address or password is wrong." in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_signing_out_leads_to_the_sign_in_page(client: Client) -> None:
    client.force_login(sign_up("alice@example.org", password=PASSWORD).owner)

    answer = client.post(reverse("account_logout"))

    assert (answer.status_code, answer["Location"]) == (302, reverse("account_login"))
    assert "_auth_user_id" not in client.session


def test_without_mail_the_reset_page_says_where_the_link_goes(client: Client) -> None:
    page = client.get(reverse("account_reset_password")).content.decode()

    assert "printed in its terminal" in page
    assert "EMAIL_URL" in page


def test_with_mail_the_reset_page_speaks_of_the_mailbox(client: Client, settings: object) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"  # type: ignore[attr-defined]

    page = client.get(reverse("account_reset_password")).content.decode()

    assert "terminal" not in page
    assert "Send link" in page


def test_the_link_of_a_reset_lets_one_choose_a_new_password(client: Client) -> None:
    alice = sign_up("alice@example.org", password=PASSWORD).owner

    answer = client.post(reverse("account_reset_password"), {"email": "alice@example.org"})
    assert answer["Location"] == reverse("account_reset_password_done")
    (link,) = re.findall(r"https?://[^/\s]+(/\S+)", str(mail.outbox[0].body))
    form = client.get(link, follow=True)
    client.post(form.request["PATH_INFO"], {"password1": "another horse 8", "password2": "another horse 8"})

    alice.refresh_from_db()
    assert alice.check_password("another horse 8")


def test_too_many_tries_are_refused_on_a_page_of_this_site(client: Client) -> None:
    with override_settings(ACCOUNT_RATE_LIMITS={"reset_password": "1/m/ip"}):
        client.post(reverse("account_reset_password"), {"email": "alice@example.org"})
        answer = client.post(reverse("account_reset_password"), {"email": "alice@example.org"})

    assert answer.status_code == 429
    assert "429.html" in [template.name for template in answer.templates]
    assert "<h1>Too many requests</h1>" in answer.content.decode()


def test_without_mail_the_authenticator_app_can_be_set_up_with_an_unverified_address(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})

    page = reverse("mfa_activate_totp")
    asked = client.get(page)  # asks for the password again
    assert asked.status_code == 302
    answer = client.post(asked["Location"], {"password": PASSWORD}, follow=True)

    assert answer.redirect_chain == [(page, 302)]
    assert answer.context["form"].secret in answer.content.decode()


def test_the_links_of_mails_lead_to_this_site_whatever_host_was_asked(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)

    for email in ("alice@example.org", "nobody@example.org"):
        client.post(reverse("account_reset_password"), {"email": email}, headers={"Host": "evil.example"})

    links = [re.findall(r"https?://[^/\s]+", str(sent.body)) for sent in mail.outbox]
    assert links == [["http://localhost:8000"], ["http://localhost:8000"]]
    assert "evil" not in "".join(f"{sent.subject}{sent.body}" for sent in mail.outbox)


def test_wrong_passwords_are_counted_whatever_host_is_asked(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    with override_settings(ACCOUNT_RATE_LIMITS={"login_failed": "2/5m/key"}):
        pages = [
            client.post(
                reverse("account_login"),
                {"login": "Alice@example.org", "password": "wrong"},
                headers={"Host": f"host{number}.example"},
            ).content.decode()
            for number in range(3)
        ]

    assert ["Too many failed sign-ins for this address. Wait five minutes" in page for page in pages] == [
        False,
        False,
        True,
    ]


def test_with_mail_a_new_person_confirms_the_address_first(client: Client, settings: object) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"  # type: ignore[attr-defined]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # type: ignore[attr-defined]

    answer = client.post(
        reverse("account_signup"),
        {"email": "alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
        follow=True,
    )
    assert "Check your e-mail" in answer.content.decode()
    assert "_auth_user_id" not in client.session

    (sent,) = mail.outbox
    assert sent.subject == "[Chat API] Confirm your address"
    (link,) = re.findall(r"http://localhost:8000(/\S+)", str(sent.body))
    assert "Confirm your address" in client.get(link).content.decode()
    client.post(link)
    answer = client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(User.objects.get().pk)


def test_a_second_sign_up_with_an_address_tells_its_owner_alone(client: Client, settings: object) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"  # type: ignore[attr-defined]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # type: ignore[attr-defined]
    sign_up("alice@example.org", password=PASSWORD)

    answer = client.post(
        reverse("account_signup"),
        {"email": "alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
        follow=True,
    )

    assert "Check your e-mail" in answer.content.decode()
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["alice@example.org"], "[Chat API] You already have an account")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
    ],
)
@pytest.mark.parametrize("host", ["localhost", "evil.example.org"])
def test_signing_in_leads_to_no_other_site(client: Client, elsewhere: str, host: str) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    answer = client.post(
        f"{reverse('account_login')}?{urlencode({'next': elsewhere})}",
        {"login": "alice@example.org", "password": PASSWORD, "next": elsewhere},
        headers={"Host": host},
    )
    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.parametrize(("proxies", "pages"), [(1, [200, 200, 429]), (0, [200, 429, 429])])
def test_behind_a_proxy_tries_are_counted_by_who_asks_it(
    client: Client, settings: Any, proxies: int, pages: list[int]
) -> None:
    """One guesser must not lock everybody out; and what a caller says of itself in X-Forwarded-For is nothing."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/m/ip"}
    asked = [
        client.post(
            reverse("account_reset_password"),
            {"email": "a@example.org"},
            headers={"X-Forwarded-For": forwarded},
        ).status_code
        for forwarded in ("6.6.6.6, 192.0.2.1", "192.0.2.2", "7.7.7.7, 192.0.2.1")
    ]
    assert [200 if status == 302 else status for status in asked] == pages

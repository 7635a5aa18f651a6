"""Sign-up, sign-in, sign-out and password reset, with and without mail set up."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail
from django.test import Client, override_settings
from django.urls import reverse

from accounts.actions.users import sign_up
from accounts.models import Account, User
from tests.product import ROOT, database_url, product_environment
from tests.wsgi import call_site

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse 9"


def test_sign_up_creates_an_account_and_redirects_to_a_new_instance(client: Client) -> None:
    response = client.post(
        reverse("account_signup"),
        {"email": "Alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
    )

    assert (response.status_code, response["Location"]) == (302, reverse("instances:new"))
    account = Account.objects.get()
    assert account.owner.email == "alice@example.org"
    assert client.session["_auth_user_id"] == str(account.owner.pk)


def test_a_taken_address_is_refused(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)

    response = client.post(
        reverse("account_signup"),
        {"email": "alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
    )

    assert response.status_code == 200
    assert response.context["form"].errors == {
        "email": ["An account with this address already exists. Sign in, or reset its password."]
    }
    assert (User.objects.count(), Account.objects.count()) == (1, 1)


@pytest.mark.parametrize("email", ["alice@example.org", "ALICE@example.org"])
def test_sign_in_accepts_the_address_in_any_case(client: Client, email: str) -> None:
    alice = sign_up("alice@example.org", password=PASSWORD).owner

    response = client.post(reverse("account_login"), {"login": email, "password": PASSWORD})

    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(alice.pk)


def test_a_wrong_password_is_refused(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)

    response = client.post(reverse("account_login"), {"login": "alice@example.org", "password": "wrong"})

    assert response.status_code == 200
    assert "E-mail address or password is wrong." in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_sign_out_redirects_to_sign_in(client: Client) -> None:
    client.force_login(sign_up("alice@example.org", password=PASSWORD).owner)

    response = client.post(reverse("account_logout"))

    assert (response.status_code, response["Location"]) == (302, reverse("account_login"))
    assert "_auth_user_id" not in client.session


def test_without_mail_the_reset_page_says_where_the_link_is_printed(client: Client) -> None:
    page = client.get(reverse("account_reset_password")).content.decode()

    assert "printed in its terminal" in page
    assert "EMAIL_URL" in page


def test_a_server_without_mail_says_whom_to_ask_for_a_new_password(client: Client, settings: object) -> None:
    settings.MAIL_IS_PRINTED = False  # type: ignore[attr-defined]
    settings.SUPPORT_EMAIL = "help@example.org"  # type: ignore[attr-defined]
    for name in ("account_reset_password", "account_reset_password_done"):
        page = client.get(reverse(name)).content.decode()
        assert "manage.py changepassword" in page
        assert "help@example.org" in page
        assert "terminal" not in page
        assert 'name="email"' not in page


RESET_ON_A_SERVER = """
import django
django.setup()
from django.test import Client
from django.urls import reverse
print("status", Client().post(reverse("account_reset_password"), {"email": "alice@example.org"}).status_code)
"""


@pytest.mark.parametrize("site_url", ["http://localhost:8000", "https://chat.example.org"])
@pytest.mark.django_db(transaction=True)
def test_a_server_without_mail_prints_no_reset_link(tmp_path: Path, site_url: str) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    environment = product_environment(
        tmp_path,
        DJANGO_SETTINGS_MODULE="chatapi.settings",
        DATABASE_URL=database_url(),
        SITE_URL=site_url,
        ALLOWED_HOSTS="testserver,localhost,chat.example.org",
        LOG_LEVEL="DEBUG",
    )
    done = subprocess.run(
        [sys.executable, "-c", RESET_ON_A_SERVER], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    printed = done.stdout + done.stderr
    assert "status 302" in printed
    assert "/reset/key/" not in printed
    assert "alice" not in printed


def test_with_mail_the_reset_page_refers_to_the_mail(client: Client, settings: object) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"  # type: ignore[attr-defined]

    page = client.get(reverse("account_reset_password")).content.decode()

    assert "terminal" not in page
    assert "Send link" in page


def test_the_reset_link_opens_the_form_for_a_new_password(client: Client) -> None:
    alice = sign_up("alice@example.org", password=PASSWORD).owner

    response = client.post(reverse("account_reset_password"), {"email": "alice@example.org"})
    assert response["Location"] == reverse("account_reset_password_done")
    (link,) = re.findall(r"https?://[^/\s]+(/\S+)", str(mail.outbox[0].body))
    form = client.get(link, follow=True)
    client.post(form.request["PATH_INFO"], {"password1": "another horse 8", "password2": "another horse 8"})

    alice.refresh_from_db()
    assert alice.check_password("another horse 8")


def test_too_many_attempts_get_the_429_page_of_this_site(client: Client) -> None:
    with override_settings(ACCOUNT_RATE_LIMITS={"reset_password": "1/m/ip"}):
        client.post(reverse("account_reset_password"), {"email": "alice@example.org"})
        response = client.post(reverse("account_reset_password"), {"email": "alice@example.org"})

    assert response.status_code == 429
    assert "429.html" in [template.name for template in response.templates]
    assert "<h1>Too many requests</h1>" in response.content.decode()


def test_without_mail_the_authenticator_app_can_be_set_up_with_an_unverified_address(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})

    page = reverse("mfa_activate_totp")
    asked = client.get(page)  # asks for the password again
    assert asked.status_code == 302
    response = client.post(asked["Location"], {"password": PASSWORD}, follow=True)

    assert response.redirect_chain == [(page, 302)]
    assert response.context["form"].secret in response.content.decode()


@override_settings(ALLOWED_HOSTS=["*"])
def test_links_in_mails_use_this_site_for_any_host_header(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)

    for email in ("alice@example.org", "unknown@example.org"):
        client.post(reverse("account_reset_password"), {"email": email}, headers={"Host": "evil.example"})

    links = [re.findall(r"https?://[^/\s]+", str(sent.body)) for sent in mail.outbox]
    assert links == [["http://localhost:8000"], ["http://localhost:8000"]]
    assert "evil" not in "".join(f"{sent.subject}{sent.body}" for sent in mail.outbox)


@override_settings(ALLOWED_HOSTS=["*"])
def test_wrong_passwords_are_counted_for_any_host_header(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    pages = [
        client.post(
            reverse("account_login"),
            {"login": "Alice@example.org", "password": "wrong"},
            headers={"Host": f"host{number}.example"},
        ).content.decode()
        for number in range(6)
    ]

    paused = "Too many failed sign-ins for this address. Try again in 1 min, or reset the password."
    assert [paused in page for page in pages] == [False] * 5 + [True]


def test_with_mail_a_new_user_must_confirm_the_address(client: Client, settings: object) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"  # type: ignore[attr-defined]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # type: ignore[attr-defined]

    response = client.post(
        reverse("account_signup"),
        {"email": "alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
        follow=True,
    )
    assert "Check your e-mail" in response.content.decode()
    assert "_auth_user_id" not in client.session

    (sent,) = mail.outbox
    assert sent.subject == "[Chat API] Confirm your address"
    (link,) = re.findall(r"http://localhost:8000(/\S+)", str(sent.body))
    assert "Confirm your address" in client.get(link).content.decode()
    client.post(link)
    response = client.post(reverse("account_login"), {"login": "alice@example.org", "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(User.objects.get().pk)


def test_a_second_sign_up_with_an_address_notifies_only_its_owner(client: Client, settings: object) -> None:
    settings.EMAIL_URL = "smtp://mail.example.org"  # type: ignore[attr-defined]
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"  # type: ignore[attr-defined]
    sign_up("alice@example.org", password=PASSWORD)

    response = client.post(
        reverse("account_signup"),
        {"email": "alice@example.org", "password1": PASSWORD, "password2": PASSWORD},
        follow=True,
    )

    assert "Check your e-mail" in response.content.decode()
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
@override_settings(ALLOWED_HOSTS=["*"])
def test_sign_in_redirects_to_no_other_site(client: Client, elsewhere: str, host: str) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    response = client.post(
        f"{reverse('account_login')}?{urlencode({'next': elsewhere})}",
        {"login": "alice@example.org", "password": PASSWORD, "next": elsewhere},
        headers={"Host": host},
    )
    assert (response.status_code, response["Location"]) == (302, "/")


@pytest.mark.parametrize(("proxies", "pages"), [(["127.0.0.1"], [200, 200, 429]), ([], [200, 429, 429])])
def test_behind_a_proxy_attempts_are_counted_per_client(
    settings: Any, proxies: list[str], pages: list[int]
) -> None:
    """One attacker must not lock other users out; X-Forwarded-For from a client without a proxy is ignored."""
    settings.TRUSTED_PROXIES = proxies
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/m/ip"}
    token = "a" * 32
    asked = [
        call_site(
            reverse("account_reset_password"),
            form={"email": "a@example.org", "csrfmiddlewaretoken": token},
            headers={"X-Forwarded-For": forwarded, "Cookie": f"csrftoken={token}"},
        ).status
        for forwarded in ("6.6.6.6, 192.0.2.1", "192.0.2.2", "7.7.7.7, 192.0.2.1")
    ]
    assert [200 if status == 302 else status for status in asked] == pages

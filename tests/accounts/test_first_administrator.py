"""The first administrator: the link that the start prints, and the page of a site without users."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.actions import first_administrator as actions
from accounts.actions.users import sign_up
from accounts.audit import AuditAction
from accounts.models import AuditEntry, SetupLink, User
from chatapi.runtime.prepare import say_setup_link
from tests.threads import results_in_threads

pytestmark = pytest.mark.django_db
URL = "/account/first-administrator/"
EMAIL, PASSWORD = "charlie@example.org", "correct horse 9"


def printed_links() -> list[str]:
    said: list[str] = []
    say_setup_link(said.append)
    return [line.rsplit(" ", 1)[1] for line in said]


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


def form(token: str, **more: str) -> dict[str, str]:
    return {"token": token, "email": EMAIL, "password1": PASSWORD, "password2": PASSWORD} | more


@override_settings(SIGNUP="invited", ACCOUNT_EMAIL_VERIFICATION="mandatory")
def test_the_link_creates_a_superuser_who_can_sign_in(client: Client, settings) -> None:
    [link] = printed_links()
    token = token_of(link)
    assert link == f"{settings.SITE_URL}{reverse('accounts:first-administrator')}?token={token}"
    page = client.get(URL, {"token": token})
    assert (page.status_code, page["Cache-Control"]) == (
        200, "max-age=0, no-cache, no-store, must-revalidate, private"
    )  # fmt: skip
    assert "Create administrator" in page.content.decode()

    assert client.post(URL, form(token, email=" Charlie@Example.org"))["Location"] == reverse("account_login")
    charlie = User.objects.get()
    assert (charlie.email, charlie.is_staff, charlie.is_superuser) == (EMAIL, True, True)
    assert charlie.account.owner == charlie
    recorded = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(recorded) == [AuditAction.SIGNED_UP, AuditAction.RIGHTS]

    client.post(reverse("account_login"), {"login": EMAIL, "password": PASSWORD})
    assert client.session["_auth_user_id"] == str(charlie.pk)


def test_the_link_works_once() -> None:
    [link] = printed_links()
    assert Client().post(URL, form(token_of(link))).status_code == 302
    for response in (
        Client().get(link),
        Client().post(URL, form(token_of(link), email="eve@example.org")),
    ):
        assert (response.status_code, response["Location"]) == (302, reverse("account_login"))
    assert User.objects.get().email == EMAIL
    assert not SetupLink.objects.exists()
    assert printed_links() == []


def test_only_the_digest_is_stored() -> None:
    [link] = printed_links()
    [row] = SetupLink.objects.values()
    assert token_of(link) not in str(row)
    assert len(row["digest"]) == 64


def test_a_link_expires() -> None:
    [link] = printed_links()
    token = token_of(link)
    with time_machine.travel(timezone.now() + actions.VALID_FOR - timedelta(minutes=1)):
        assert Client().get(link).status_code == 200
    with time_machine.travel(timezone.now() + actions.VALID_FOR + timedelta(seconds=1)):
        page = Client().get(link)
        assert (page.status_code, "This link is not valid" in page.content.decode()) == (404, True)
        assert Client().post(URL, form(token)).status_code == 404
    assert not User.objects.exists()


def test_a_stranger_learns_where_the_link_is_and_no_more(client: Client) -> None:
    [link] = printed_links()
    home = client.get("/")
    assert (home.status_code, home["Location"]) == (302, URL)
    page = client.get(URL).content.decode()
    assert "manage.py createsuperuser" in page
    assert "<form" not in page
    assert token_of(link) not in page
    assert SetupLink.objects.get().digest not in page


@pytest.mark.parametrize("mode", ["invited", "closed"])
def test_the_sign_up_page_of_an_empty_site_leads_there_too(client: Client, mode: str) -> None:
    sign_up_page = reverse("account_signup")
    with override_settings(SIGNUP=mode):
        assert client.get(sign_up_page)["Location"] == URL
        assert client.get(sign_up_page, {"invitation": "x"}).status_code == 200
        sign_up("alice@example.org", password=PASSWORD)
        assert client.get(sign_up_page).status_code == 200


@pytest.mark.parametrize("token", ["x", "x" * 5000, "\x00", "a&b"])
def test_a_wrong_token_creates_no_user(client: Client, token: str) -> None:
    printed_links()
    assert client.get(URL, {"token": token}).status_code == 404
    assert client.post(URL, form(token)).status_code == 404
    assert not User.objects.exists()


def test_without_a_token_no_user_is_created(client: Client) -> None:
    printed_links()
    assert client.post(URL, form("")).status_code == 200
    assert not User.objects.exists()


def test_a_digest_is_no_token(client: Client) -> None:
    printed_links()
    assert client.post(URL, form(SetupLink.objects.get().digest)).status_code == 404
    assert not User.objects.exists()


def test_a_site_with_a_user_prints_no_link_and_hides_the_page(client: Client) -> None:
    sign_up("alice@example.org", password=PASSWORD)
    assert printed_links() == []
    assert client.get("/")["Location"] == reverse("account_login")
    for token in ("", "x"):
        assert client.get(URL, {"token": token})["Location"] == reverse("account_login")


def test_a_stranger_who_signs_up_first_does_not_end_the_link(client: Client) -> None:
    [link] = printed_links()
    sign_up("eve@example.org", password=PASSWORD)
    response = client.post(URL, form(token_of(link), email="eve@example.org"))
    assert (response.status_code, "A user with this address exists" in response.content.decode()) == (
        200,
        True,
    )
    client.post(URL, form(token_of(link)))
    assert User.objects.get(is_superuser=True).email == EMAIL


def test_the_links_of_two_machines_work_until_there_is_a_superuser() -> None:
    first, second = printed_links() + printed_links()
    assert Client().get(first).status_code == Client().get(second).status_code == 200
    User.objects.create_superuser(EMAIL, PASSWORD)
    assert Client().get(first).status_code == Client().get(second).status_code == 302


def test_starts_without_end_leave_a_bounded_number_of_links() -> None:
    links = [printed_links()[0] for _ in range(actions.MAX_LINKS + 3)]
    assert SetupLink.objects.count() == actions.MAX_LINKS
    assert [actions.is_valid(token_of(link)) for link in (links[2], links[3], links[-1])] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"password2": "correct horse 8"}, "The two passwords differ."),
        ({"password1": "12345678", "password2": "12345678"}, "This password is"),
        ({"email": "charlie"}, "Enter a valid email address."),
        ({"email": ""}, "This field is required."),
    ],
)
def test_a_wrong_form_is_shown_again_with_its_token(
    client: Client, wrong: dict[str, str], message: str
) -> None:
    token = token_of(printed_links()[0])
    page = client.post(URL, form(token, **wrong)).content.decode()
    assert message in page
    assert f'value="{token}"' in page
    assert PASSWORD not in page
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_simultaneous_requests_create_one_administrator() -> None:
    token = token_of(printed_links()[0])

    def create(number: int) -> int:
        return Client().post(URL, form(token, email=f"charlie{number}@example.org")).status_code

    assert results_in_threads(create, 3) == [302] * 3
    assert User.objects.count() == 1

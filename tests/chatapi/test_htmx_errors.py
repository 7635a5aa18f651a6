"""A refused request of htmx gets its reason as plain text; the same request of a browser gets a page."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.factories import UserFactory

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return UserFactory(email="alice@example.org")


@pytest.fixture
def strict_client(user: User) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def test_another_session_s_token(strict_client: Client) -> None:
    strict_client.get("/account/")  # sets the cookie
    old = "a" * 32
    response = strict_client.post("/testing/simulation/send/", headers=HTMX | {"X-CSRFToken": old})
    assert response.status_code == 403
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text == "Your session changed in another tab. Reload the page."
    page = strict_client.post("/testing/simulation/send/", headers={"X-CSRFToken": old})
    assert page.status_code == 403
    assert "This form has expired" in page.text


def test_no_cookie(strict_client: Client) -> None:
    response = strict_client.post("/testing/simulation/send/", headers=HTMX)
    assert response.text == "Your browser sent no cookies. Allow cookies for this site, then reload the page."


def test_another_origin(strict_client: Client, settings) -> None:
    response = strict_client.post(
        "/testing/simulation/send/", headers=HTMX | {"Origin": "https://other.example"}
    )
    assert response.text == (f"The request did not come from {settings.SITE_URL}. Open the page at this URL.")


def test_not_found(strict_client: Client) -> None:
    response = strict_client.get("/instances/999999/", headers=HTMX)
    assert (response.status_code, response.text) == (
        404,
        "This no longer exists, or it belongs to another account. Reload the page.",
    )


def test_server_error(strict_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    strict_client.raise_request_exception = False
    monkeypatch.setattr("accounts.views.account.render", lambda *_, **__: 1 / 0)
    response = strict_client.get("/account/", headers=HTMX)
    assert (response.status_code, response.text) == (
        500,
        "The server failed with an error, which is in its log.",
    )


def test_blocked_account(strict_client: Client, user: User) -> None:
    user.account.blocked_at = timezone.now()
    user.account.save()
    response = strict_client.get("/instances/", headers=HTMX)
    assert response.status_code == 403
    assert response.text.startswith("This account is blocked. Ask ")

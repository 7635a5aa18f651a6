"""What packages bring into the staff pages can be looked at where staff needs it, and changed nowhere."""

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.signing import SignedPackage

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def charlie(client: Client) -> Client:
    client.force_login(UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True))
    return client


def create_row(name: str) -> str:
    """The key of a row of this model of django-q2."""
    now = timezone.now()
    task = {"id": "a1", "name": "one", "func": "hooks.tasks.dispatch", "started": now, "stopped": now}
    if name == "schedule":
        return str(Schedule.objects.create(name="one", func="hooks.tasks.ensure_dispatchers").pk)
    if name == "ormq":
        payload = SignedPackage.dumps({**task, "args": (), "kwargs": {}})
        return str(OrmQ.objects.create(key="chatapi", payload=payload, lock=now).pk)
    model = Success if name == "success" else Failure
    return str(model.objects.create(**task, success=name == "success", result="The end.").pk)


@pytest.mark.parametrize("name", ["schedule", "ormq", "success", "failure"])
def test_the_background_tasks_can_be_seen_and_none_changed(charlie: Client, name: str) -> None:
    place = f"/admin/django_q/{name}"
    key = create_row(name)

    shown = charlie.get(f"{place}/")
    assert shown.status_code == 200
    assert 'name="action"' not in shown.content.decode()
    assert charlie.get(f"{place}/{key}/change/").status_code == 200

    assert charlie.get(f"{place}/add/").status_code == 403
    assert charlie.post(f"{place}/{key}/change/", {"func": "os.system"}).status_code == 403
    assert charlie.post(f"{place}/{key}/delete/", {"post": "yes"}).status_code == 403


def test_failed_tasks_cannot_be_queued_again_by_hand(charlie: Client) -> None:
    key = create_row("failure")
    charlie.post("/admin/django_q/failure/", {"action": "resubmit_task", "_selected_action": key})
    assert (OrmQ.objects.count(), Failure.objects.count()) == (0, 1)


@pytest.mark.parametrize("place", ["account/emailaddress", "mfa/authenticator", "usersessions/usersession"])
def test_sign_in_is_no_business_of_the_staff(charlie: Client, place: str) -> None:
    assert charlie.get(f"/admin/{place}/?q=x").status_code == 404


def test_whatever_is_registered_can_be_searched(charlie: Client) -> None:
    for model in admin.site._registry:
        place = f"/admin/{model._meta.app_label}/{model._meta.model_name}/?q=x"
        assert (place, charlie.get(place).status_code) == (place, 200)

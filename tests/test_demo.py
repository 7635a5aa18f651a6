"""`manage.py demo`: the demo account is made once, told whole, and repaired where it no longer matches."""

import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.actions.keys import issue_key, revoke_key
from accounts.actions.users import set_password
from accounts.models import Account, AccountKey, User
from chatapi.demo_account.account import DemoBlocked, create_or_repair, login_file
from instances.actions.lifecycle import delete_instance
from instances.actions.status import change_status
from instances.models import Instance
from tests.product import Product, manage, product_environment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def test_the_first_call_makes_an_account_with_a_paid_and_authenticated_instance() -> None:
    demo = create_or_repair()
    instance = Instance.objects.get()
    user = User.objects.get()
    assert demo.repaired == []
    assert demo.login == {
        "site": "http://localhost:8000",
        "email": "demo@example.com",
        "password": demo.login["password"],
        "uid": demo.login["uid"],
        "instances": [
            {
                "id": str(instance.number),
                "token": instance.token,
                "apiUrl": f"http://localhost:8000/instance{instance.number}/",
            }
        ],
    }
    assert (user.email, user.check_password(demo.login["password"])) == ("demo@example.com", True)
    assert (user.is_staff, user.is_superuser) == (False, False)
    assert AccountKey.objects.verify(demo.login["uid"]) == user.account == instance.owner
    assert (instance.channel, instance.shown_status) == ("sandbox", "authenticated")
    assert instance.paid_until > timezone.now() + timedelta(days=365)
    assert not instance.ack_notifications_on  # the contract's default


def test_its_sandbox_has_people_whose_names_say_what_they_do_and_a_group() -> None:
    create_or_repair()
    create_or_repair()
    instance = Instance.objects.get()
    assert [(one.name, one.is_reachable and one.online) for one in instance.sandbox_contacts.all()] == [
        ("Rita Reads (after 2 s)", True),
        ("Sam Slow (gets it after 5 s)", True),
        ("Otto Offline", False),
        ("Bruno Blocks You", False),
        ("Nora No-Account", False),
    ]
    [group] = instance.chats.all()
    assert (group.name, group.participants.count()) == ("Rita and Sam", 3)


def test_the_login_is_kept_for_its_owner_alone(data_dir: Path) -> None:
    demo = create_or_repair()
    assert json.loads(login_file().read_text()) == demo.login
    assert stat.S_IMODE(login_file().stat().st_mode) == 0o600
    assert [file.name for file in data_dir.iterdir()] == ["demo.json"]


def test_a_file_that_others_could_read_is_closed() -> None:
    create_or_repair()
    login_file().chmod(0o644)
    create_or_repair()
    assert stat.S_IMODE(login_file().stat().st_mode) == 0o600


def test_the_second_call_changes_nothing() -> None:
    first = create_or_repair()
    before = rows()
    assert create_or_repair() == first
    assert rows() == before


def rows() -> list[list[Any]]:
    return [list(model.objects.order_by("pk").values()) for model in (User, Account, AccountKey, Instance)]


def test_one_can_sign_in_with_it_also_where_addresses_must_be_confirmed(settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    login = create_or_repair().login
    client = Client()
    client.post("/accounts/login/", {"login": login["email"], "password": login["password"]})
    assert client.session["_auth_user_id"] == str(User.objects.get().pk)


def test_a_lost_file_is_made_anew_with_a_new_password_and_key() -> None:
    first = create_or_repair()
    login_file().unlink()
    second = create_or_repair()
    assert second.repaired == ["The demo login was missing from DATA_DIR."]
    assert second.login["password"] != first.login["password"]
    assert User.objects.get().check_password(second.login["password"])
    assert AccountKey.objects.verify(second.login["uid"]) == Account.objects.get()
    assert second.login["instances"] == first.login["instances"]


def test_a_spoilt_file_is_made_anew() -> None:
    create_or_repair()
    login_file().write_text("[1, 2")
    assert create_or_repair().repaired == ["The demo login was missing from DATA_DIR."]


def test_a_password_that_was_changed_is_set_anew() -> None:
    first = create_or_repair()
    set_password(User.objects.get(), password="another-one-of-mine", acting_user=None)
    second = create_or_repair()
    assert second.repaired == ["Its password had been changed; a new one was set."]
    assert second.login["uid"] == first.login["uid"]
    assert User.objects.get().check_password(second.login["password"])


def test_a_key_that_was_revoked_is_made_anew_and_the_persons_own_stays() -> None:
    first = create_or_repair()
    account = Account.objects.get()
    revoke_key(account.keys.get(), acting_user=account.owner)
    _, own = issue_key(account, acting_user=account.owner)
    second = create_or_repair()
    assert second.repaired == ["Its account key had been revoked; a new one was created."]
    assert second.login["password"] == first.login["password"]
    assert AccountKey.objects.verify(second.login["uid"]) == account
    assert AccountKey.objects.verify(own) == account


def test_the_instance_is_linked_and_paid_again_and_made_again_when_it_was_deleted() -> None:
    create_or_repair()
    instance = Instance.objects.get()
    change_status(instance, account_status="got qr code")
    Instance.objects.update(paid_until=timezone.now() + timedelta(days=29))
    create_or_repair()
    instance.refresh_from_db()
    assert instance.account_status == "authenticated"
    assert instance.paid_until > timezone.now() + timedelta(days=393)
    delete_instance(instance, acting_user=None)
    [made] = create_or_repair().login["instances"]
    assert made["id"] == str(Instance.objects.get().number)


def test_a_blocked_demo_account_is_left_alone() -> None:
    create_or_repair()
    Account.objects.update(blocked_at=timezone.now())
    before, kept = rows(), login_file().read_text()
    with pytest.raises(DemoBlocked, match=r"^The demo account demo@example\.com is blocked; "):
        create_or_repair()
    assert (rows(), login_file().read_text()) == (before, kept)


def test_the_first_start_leaves_alone_what_people_changed_but_follows_the_site(settings: Any) -> None:
    call_command("demo", first_start=True)
    first = json.loads(login_file().read_text())
    set_password(User.objects.get(), password="another-one-of-mine", acting_user=None)
    settings.SITE_URL = "http://localhost:9000"
    before = rows()
    call_command("demo", first_start=True)
    second = json.loads(login_file().read_text())
    assert rows() == before
    number = first["instances"][0]["id"]
    assert second == first | {
        "site": "http://localhost:9000",
        "instances": [first["instances"][0] | {"apiUrl": f"http://localhost:9000/instance{number}/"}],
    }
    login_file().unlink()
    call_command("demo", first_start=True)
    assert (rows(), login_file().exists()) == (before, False)


def test_against_a_database_of_ones_own_it_refuses_without_force(settings: Any, capsys: Any) -> None:
    settings.EMBEDDED_POSTGRES = False
    with pytest.raises(CommandError) as refusal:
        call_command("demo", json=True)
    assert str(refusal.value) == (
        "DATABASE_URL is set, so this may be a real site, and the demo account's login is stored in plain text in "
        "DATA_DIR/demo.json; use --force to create it anyway."
    )
    assert not User.objects.exists()
    assert not login_file().exists()
    call_command("demo", json=True, force=True)
    assert json.loads(capsys.readouterr().out) == json.loads(login_file().read_text())


def test_the_command_alone_starts_what_it_needs_and_prints_one_line_of_json(tmp_path: Path) -> None:
    environment = product_environment(tmp_path / "data", PORT="8123")
    first = manage("demo", "--json", environment=environment)
    assert (first.returncode, first.stderr) == (0, "")
    login = json.loads(first.stdout)
    assert first.stdout == json.dumps(login, separators=(",", ":")) + "\n"
    assert login["site"] == "http://localhost:8123"
    assert manage("demo", "--json", environment=environment).stdout == first.stdout
    told = manage("demo", environment=environment).stdout
    assert [line for line in told.splitlines() if login["password"] in line] == [
        f"password     {login['password']}"
    ]


def test_beside_the_running_product_it_prints_the_login_that_opens_it(product: Product) -> None:
    done = product.manage("demo", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, product.demo)
    file, folder = (product.data_dir / "demo.json").stat(), product.data_dir.stat()
    assert (file.st_uid, file.st_gid) == (folder.st_uid, folder.st_gid)  # root may have called it

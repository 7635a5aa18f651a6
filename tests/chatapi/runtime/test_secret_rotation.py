"""`manage.py rotate_secrets`, and what happens if a key of SECRETS_KEY is missing."""

from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.core.checks import Tags, run_checks
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.actions.keys import issue_key
from accounts.models import AuditEntry
from chatapi.encryption import columns
from chatapi.encryption.cipher import key_id
from chatapi.encryption.fields import Ciphertext
from chatapi.monitoring import health
from chatapi.runtime import secret_rotation
from hooks.actions.endpoints import rotate_secret
from hooks.models import Endpoint
from instances.actions import alerts
from instances.actions.channel_links import save_link
from instances.actions.chats.groups import create_group
from instances.models import AlertWebhook, ChannelLink, Chat, Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db
OLD, NEW = "o" * 40, "n" * 40
SEED = "JBSWY3DPEHPK3PXP"


def run(*options: str) -> str:
    said = StringIO()
    call_command("rotate_secrets", *options, stdout=said)
    return said.getvalue()


@pytest.fixture
def instance() -> Instance:
    """An instance with every kind of secret, encrypted with OLD, and a user who is signed in."""
    with override_settings(SECRETS_KEY=(OLD,)):
        made = InstanceFactory(owner__email="alice@example.org", number=12345)
        rotate_secret(made.endpoint, acting_user=None)
        create_group(made, chat_id="15550002222-1479621234@g.us", name="Friends", members=[])
        save_link(made, credentials={"token": "bot-token"}, acting_user=None)
        webhook = alerts.set_url(made.owner, url="https://ops.example.com/alerts", acting_user=None)
        alerts.rotate_secret(webhook, acting_user=None)
        TOTP.activate(made.owner.owner, SEED)
        RecoveryCodes.activate(made.owner.owner)
        Client().force_login(made.owner.owner)
    return made


def secrets_of(instance: Instance) -> dict[str, Any]:
    """The secrets as they are read from the database."""
    stored = Instance.objects.get(pk=instance.pk)
    authenticators = {one.type: one for one in Authenticator.objects.all()}
    return {
        "token": stored.token,
        "signing": stored.endpoint.valid_secrets(),
        "alerts": AlertWebhook.objects.get().valid_secrets(timezone.now()),
        "invite": Chat.objects.get().invite_code,
        "credentials": stored.channel_link.credentials,
        "callback": stored.channel_link.callback_url,
        "totp": TOTP(authenticators["totp"]).validate_code("000000"),
        "codes": RecoveryCodes(authenticators["recovery_codes"]).generate_codes(),
    }


def test_rotation_encrypts_everything_with_the_newest_key(instance: Instance) -> None:
    with override_settings(SECRETS_KEY=(OLD,)):
        before = secrets_of(instance)
    with override_settings(SECRETS_KEY=(NEW, OLD)):
        assert secret_rotation.keys_in_use() == {
            key_id(OLD): 11
        }  # two signing secrets each of hooks and alerts, two seeds, a session
        assert f"Only the newest key ({key_id(NEW)}) is in use. The others can be removed" in run()
        assert secret_rotation.keys_in_use() == {key_id(NEW): 11}
    with override_settings(SECRETS_KEY=(NEW,)):
        assert secrets_of(instance) == before
        assert Instance.objects.get().token == instance.token


def test_every_column_of_ciphertexts_has_a_replacement() -> None:
    assert {column.label for column in columns.encrypted_columns()} == set(secret_rotation.REPLACEMENTS)


def test_an_interrupted_rotation_is_continued(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, calls = columns.replace, []

    def interrupted(*arguments: Any, **options: Any) -> bool:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return replace(*arguments, **options)

    with override_settings(SECRETS_KEY=(NEW, OLD)):
        monkeypatch.setattr(columns, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
        assert secret_rotation.keys_in_use() == {key_id(NEW): 3, key_id(OLD): 8}
        with pytest.raises(CommandError, match=f"Still in use: {key_id(OLD)}"):
            run("--check")
        run()
        assert secret_rotation.keys_in_use() == {key_id(NEW): 11}


def test_a_secret_that_is_changed_meanwhile_is_not_overwritten(instance: Instance) -> None:
    [column] = [one for one in columns.encrypted_columns() if one.label == secret_rotation.TOKENS]
    assert columns.replace(column, instance.pk, "v1.another.text", "v1.new.text") is False
    assert Instance.objects.get().token_digest == instance.token_digest


def test_rows_are_read_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [InstanceFactory() for _ in range(5)]
    monkeypatch.setattr(columns, "PORTION", 2)
    [column] = [one for one in columns.encrypted_columns() if one.label == secret_rotation.TOKENS]
    assert [key for key, _, _ in columns.rows(column, "true", [])] == [one.pk for one in made]


class TestLostKey:
    def test_a_check_says_which_key_is_missing_and_what_to_do(self, instance: Instance) -> None:
        with override_settings(SECRETS_KEY=(NEW,)):
            [found] = run_checks(tags=[Tags.database], databases=["default"])
            assert found.id == "chatapi.E022"
            assert key_id(OLD) in found.msg
            assert "restore the file secrets_key" in str(found.hint)
            assert "rotate_secrets --replace-unreadable" in str(found.hint)
        with override_settings(SECRETS_KEY=(NEW, OLD)):
            assert run_checks(tags=[Tags.database], databases=["default"]) == []

    def test_the_worker_and_the_dispatcher_do_not_start(self, instance: Instance) -> None:
        for command in ("worker", "dispatch"):
            with (
                override_settings(SECRETS_KEY=(NEW,)),
                pytest.raises(CommandError, match="SECRETS_KEY: the database has secrets"),
            ):
                call_command(command)

    def test_readyz_says_so(self, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "passed", set())
        with override_settings(SECRETS_KEY=(NEW,)):
            answer = Client().get("/readyz")
        assert answer.status_code == 503
        assert "SECRETS_KEY" in answer.json()["reason"]

    def test_rotation_keeps_what_it_cannot_read(self, instance: Instance) -> None:
        with override_settings(SECRETS_KEY=(NEW,)), pytest.raises(CommandError, match="Still in use"):
            run()
        with override_settings(SECRETS_KEY=(OLD,)):
            assert Instance.objects.get().token == instance.token

    def test_unreadable_secrets_are_replaced_on_request(self, instance: Instance) -> None:
        with override_settings(SECRETS_KEY=(NEW,)):
            said = run("--replace-unreadable")
            assert "1 instances have a new token" in said
            assert "Only the newest key" in said
            stored = Instance.objects.get()
            assert stored.token != instance.token
            assert Client().get(f"/instance12345/status?token={stored.token}").status_code == 200
            assert Client().get(f"/instance12345/status?token={instance.token}").status_code == 401
            [secret] = Endpoint.objects.get().valid_secrets()
            assert secret.startswith("whsec_")
            [secret] = AlertWebhook.objects.get().valid_secrets(timezone.now())
            assert secret.startswith("whsec_")
            assert len(Chat.objects.get().invite_code) == 22
            assert not Authenticator.objects.exists()
            assert not ChannelLink.objects.exists()
        done = set(AuditEntry.objects.values_list("action", flat=True))
        assert done >= {"instance.token_rotated", "instance.secret_rotated", "user.second_factor_unreadable"}

    def test_a_callback_url_is_replaced_if_it_alone_is_unreadable(self, instance: Instance) -> None:
        with override_settings(SECRETS_KEY=(NEW, OLD)):
            before = ChannelLink.objects.get().callback_url
            ChannelLink.objects.update(callback_secret=Ciphertext("v1.unknown.text"))
            run("--replace-unreadable")
            link = ChannelLink.objects.get()
            assert link.credentials == {"token": "bot-token"}
            assert link.callback_url != before


class TestUnreadableRow:
    """One ciphertext was changed or copied: 503 with a sentence, and only where that secret is needed."""

    @pytest.fixture
    def broken(self) -> Instance:
        made, other = InstanceFactory(owner__email="alice@example.org", number=12345), InstanceFactory()
        [copied] = Instance.objects.filter(pk=other.pk).values_list("token", flat=True)
        Instance.objects.filter(pk=made.pk).update(token=Ciphertext(str(copied)))
        return made

    def test_a_page_that_shows_it(self, broken: Instance) -> None:
        client = Client()
        client.force_login(broken.owner.owner)
        page = client.get("/instances/12345/", headers={"Accept": "text/html"})
        assert page.status_code == 503
        assert "SECRETS_KEY" in page.content.decode()

    def test_rest(self, broken: Instance) -> None:
        _, key = issue_key(broken.owner, acting_user=None)
        answer = Client().get("/api/v1/instances/12345/", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 503
        assert answer.json() == {
            "error": "The server cannot read a stored secret. Its operator must check SECRETS_KEY."
        }

    def test_calls_with_the_token_need_its_digest_alone(self, broken: Instance) -> None:
        assert Client().get(f"/instance12345/status?token={broken.token}").status_code == 200


def test_settings_read_the_keys_newest_first() -> None:
    assert len(settings.SECRETS_KEY) == 1
    assert len(settings.SECRETS_KEY[0]) >= 32
    assert settings.SECRETS_KEY[0] != settings.SECRET_KEY


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (("short",), "a key has fewer than 32 characters"),
        ((NEW, NEW), "it contains a key twice"),
        ((NEW, OLD), ""),
    ],
)
def test_wrong_keys_are_a_check(keys: tuple[str, ...], says: str) -> None:
    with override_settings(SECRETS_KEY=keys):
        found = [message for message in run_checks(tags=["settings"]) if message.id == "chatapi.E021"]
    assert [message.msg for message in found] == ([f"SECRETS_KEY: {says}."] if says else [])


def test_login_page_is_reachable_without_the_old_key(instance: Instance) -> None:
    with override_settings(SECRETS_KEY=(NEW,)):
        assert Client().get(reverse("account_login")).status_code == 200

"""Wrong settings: each a system check with an id, that names the variable and says what to do."""

import certifi
import pytest
from django.core.checks import Error
from django.test import override_settings

from chatapi.checks import messages_of
from chatapi.runtime.doctor.checklist import BY_NAME


def found() -> list[tuple[str | None, str, str | None]]:
    return [(message.id, message.msg, message.hint) for message in messages_of(BY_NAME["settings"])]


def test_the_defaults_are_right() -> None:
    assert found() == []


def test_what_the_settings_file_could_not_read_is_told() -> None:
    with override_settings(SETTINGS_ERRORS=[("TRIAL_DAYS", "it is no number")]):
        [message] = messages_of(BY_NAME["settings"])
    assert isinstance(message, Error)
    assert (message.id, message.msg, message.hint) == (
        "chatapi.E001",
        "TRIAL_DAYS: it is no number.",
        "docs/settings.md lists the accepted values; unset it for the default.",
    )


@pytest.mark.parametrize(
    ("variable", "value", "identity", "says"),
    [
        ("PORT", 70000, "chatapi.E003", "PORT: 70000 is not a port number."),
        ("SITE_URL", "chat.example.com", "chatapi.E004",
         "SITE_URL: 'chat.example.com' is not a URL that starts with http:// or https://."),
        ("HOOKS_ALLOW_NETWORKS", ["10.0.0.1/8"], "chatapi.E007", "HOOKS_ALLOW_NETWORKS: 10.0.0.1/8 has host bits set."),
        ("LOG_LEVEL", "LOUD", "chatapi.E008",
         "LOG_LEVEL: 'LOUD' is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL."),
        ("API_RATE", "often", "chatapi.E010", "API_RATE: 'often' is not a number and a period."),
        ("METRICS_TOKEN", "short", "chatapi.E011",
         "METRICS_TOKEN: it is too short, or contains spaces or other characters that a header cannot contain."),
        ("SENTRY_DSN", "https://sentry.example.com/1", "chatapi.E001",
         "SENTRY_DSN: it is not a URL with a key and the number of a project."),
        ("HOOKS_CA_FILE", "/nowhere/ca.pem", "chatapi.E012",
         "HOOKS_CA_FILE: /nowhere/ca.pem cannot be read: No such file or directory."),
        ("HOOKS_CA_FILE", __file__, "chatapi.E012", f"HOOKS_CA_FILE: {__file__} contains no PEM certificate."),
        ("SIGNUP", "anyone", "chatapi.E020", "SIGNUP: 'anyone' is not one of open, invited, closed."),
        ("DISK_MIN_FREE_BYTES", -1, "chatapi.E001", "DISK_MIN_FREE_BYTES: -1 is less than 0."),
        ("DISK_MIN_FREE_PERCENT", 100, "chatapi.E001", "DISK_MIN_FREE_PERCENT: 100 is not from 0 to 90."),
        ("QUOTA_FILE_BYTES", -1, "chatapi.E001", "QUOTA_FILE_BYTES: -1 is less than 0."),
        ("QUOTA_INSTANCES", 0, "chatapi.E001", "QUOTA_INSTANCES: 0 is less than 1."),
        ("QUOTA_INVITATIONS_PER_DAY", -1, "chatapi.E001", "QUOTA_INVITATIONS_PER_DAY: -1 is less than 0."),
        ("WEB_PROCESSES", 0, "chatapi.E001", "WEB_PROCESSES: 0 is less than 1."),
        ("SANDBOX_MESSENGER_URL", "localhost:8089", "chatapi.E001",
         "SANDBOX_MESSENGER_URL: 'localhost:8089' is not a URL that starts with http:// or https://."),
        ("HOOKS_DISPATCHERS", 0, "chatapi.E001", "HOOKS_DISPATCHERS: 0 is less than 1."),
        ("SENDERS", 0, "chatapi.E001", "SENDERS: 0 is less than 1."),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told(variable: str, value: object, identity: str, says: str) -> None:
    with override_settings(**{variable: value}):
        [(code, message, hint)] = found()
    assert (code, message) == (identity, says)
    assert hint


def test_a_file_of_certificates_is_right() -> None:
    with override_settings(HOOKS_CA_FILE=certifi.where()):
        assert found() == []


@pytest.mark.parametrize(
    ("variables", "identity", "says"),
    [
        ({"MEDIA_S3_BUCKET": "a b"}, "chatapi.E013", "MEDIA_S3_BUCKET: 'a b' is not a bucket name."),
        ({"MEDIA_S3_REGION": "eu-1"}, "chatapi.E013",
         "MEDIA_S3_BUCKET: it is unset, so MEDIA_S3_REGION has no effect."),
        ({"MEDIA_S3_BUCKET": "files", "MEDIA_S3_ENDPOINT": "s3.example.com"}, "chatapi.E014",
         "MEDIA_S3_ENDPOINT: 's3.example.com' is not a URL that starts with http:// or https://."),
        ({"MEDIA_S3_BUCKET": "files", "MEDIA_S3_SECRET_KEY": "hush"}, "chatapi.E015",
         "MEDIA_S3_ACCESS_KEY: one of the two keys is unset."),
    ],
)  # fmt: skip
def test_a_store_for_files_that_is_half_configured_is_told(
    variables: dict[str, str], identity: str, says: str
) -> None:
    with override_settings(**variables):
        [(code, message, hint)] = found()
    assert (code, message) == (identity, says)
    assert hint


def test_a_store_for_files_with_keys_or_with_the_machines_role_is_right() -> None:
    with override_settings(MEDIA_S3_BUCKET="files"):
        assert found() == []
    with override_settings(MEDIA_S3_BUCKET="files", MEDIA_S3_ACCESS_KEY="key", MEDIA_S3_SECRET_KEY="secret"):
        assert found() == []


@pytest.mark.parametrize(
    ("mail", "printed", "warns"), [("", True, False), ("", False, True), ("smtp://h", False, False)]
)
def test_a_server_without_mail_is_told(mail: str, printed: bool, warns: bool) -> None:
    with override_settings(EMAIL_URL=mail, MAIL_IS_PRINTED=printed):
        found = [message.id for message in messages_of(BY_NAME["mail-settings"])]
    assert found == (["chatapi.W002"] if warns else [])

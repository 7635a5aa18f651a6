"""The environment: every variable documented, files for secrets, no traceback from a wrong value."""

import json
import re
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection

from chatapi.database.lost_sessions import CLIENT_OPTIONS
from chatapi.database.url import database_settings
from chatapi.runtime.postgres.discovery import Server
from tests.product import ROOT, free_port, manage, product_environment

SHOW = """
import json
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in __import__("sys").argv[1:]}, default=str))
"""


def settings(folder: Path, *names: str, **environment: str) -> dict[str, Any]:
    """These settings as a process with this environment sees them."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *names], cwd=ROOT, capture_output=True, text=True, check=True,
        env=product_environment(folder, DJANGO_SETTINGS_MODULE="chatapi.settings", **environment),
    )  # fmt: skip
    return json.loads(done.stdout)


def test_every_variable_stands_in_the_documentation_and_no_other() -> None:
    read = set(re.findall(r'\bread\(\s*env\.\w+, "(\w+)"', (ROOT / "chatapi" / "settings.py").read_text()))
    told = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE))
    assert told == read
    assert len(read) >= 20


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-file\n")
    assert settings(tmp_path, "SECRET_KEY", SECRET_KEY_FILE=str(tmp_path / "key")) == {
        "SECRET_KEY": "of-the-file"
    }


def test_the_secret_key_is_made_once_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    first = settings(tmp_path / "data", "SECRET_KEY")
    assert settings(tmp_path / "data", "SECRET_KEY") == first
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_the_key_of_secrets_is_created_once_and_others_cannot_read_it(tmp_path: Path) -> None:
    first = settings(tmp_path / "data", "SECRETS_KEY", "SECRET_KEY")
    assert settings(tmp_path / "data", "SECRETS_KEY", "SECRET_KEY") == first
    [key] = first["SECRETS_KEY"]
    assert len(key) > 60 and key != first["SECRET_KEY"]
    assert (tmp_path / "data" / "secrets_key").stat().st_mode & 0o777 == 0o600


def test_several_keys_of_secrets_are_read_newest_first(tmp_path: Path) -> None:
    new, old = "n" * 40, "o" * 40
    assert settings(tmp_path, "SECRETS_KEY", SECRETS_KEY=f" {new}, {old}\n") == {"SECRETS_KEY": [new, old]}
    (tmp_path / "keys").write_text(f"{new}\n{old}\n")
    assert settings(tmp_path, "SECRETS_KEY", SECRETS_KEY_FILE=str(tmp_path / "keys")) == {
        "SECRETS_KEY": [new, old]
    }
    assert not (tmp_path / "secrets_key").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"), ("DATABASE_URL", "mysql://root@host/db"), ("DATABASE_URL", "postgresql://h:port/db"),
        ("SITE_URL", "http://["), ("DEBUG", "perhaps"), ("EMAIL_URL", "pigeon://roof"), ("LOG_LEVEL", "LOUD"),
        ("SECRET_KEY_FILE", "/no/such/file"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_kept_for_the_checks_and_raises_nothing(
    tmp_path: Path, variable: str, value: str
) -> None:
    found = settings(tmp_path, "SETTINGS_ERRORS", "LOGGING", **{variable: value})["SETTINGS_ERRORS"]
    by_checks = {"SITE_URL", "LOG_LEVEL"}  # these are read, and judged by chatapi/checks.py
    assert [name for name, _ in found] == ([] if variable in by_checks else [variable.removesuffix("_FILE")])


def test_a_database_url_is_taken_apart(tmp_path: Path) -> None:
    given = "postgresql://ann:p%40ss@db.example.com:6432/chat?sslmode=require"
    [database] = settings(tmp_path, "DATABASES", DATABASE_URL=given)["DATABASES"].values()
    assert {key: database[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")} == {
        "NAME": "chat",
        "USER": "ann",
        "PASSWORD": "p@ss",
        "HOST": "db.example.com",
        "PORT": "6432",
        "OPTIONS": CLIENT_OPTIONS
        | {"connect_timeout": 10, "sslmode": "require", "target_session_attrs": "read-write"},
    }


def test_a_database_url_may_have_another_time_for_lost_sessions(tmp_path: Path) -> None:
    given = "postgresql://ann@db.example.com/chat?tcp_user_timeout=20000"
    [database] = settings(tmp_path, "DATABASES", DATABASE_URL=given)["DATABASES"].values()
    assert database["OPTIONS"]["tcp_user_timeout"] == 20_000


def test_the_urls_of_a_pooler_and_a_replica(tmp_path: Path) -> None:
    names = ("POOLED_DATABASE", "REPLICA_DATABASE", "SETTINGS_ERRORS")
    urls = {
        "DATABASE_POOLER_URL": "postgresql://ann@127.0.0.1:6432/chat?target_session_attrs=any",
        "DATABASE_REPLICA_URL": "postgresql://ann@b:5433/chat?options=-c%20work_mem%3D1MB&target_session_attrs=any",
    }
    found = settings(tmp_path, *names, DATABASE_URL="postgresql://ann@a/chat", **urls)
    assert found["SETTINGS_ERRORS"] == []
    pooled, replica = found["POOLED_DATABASE"], found["REPLICA_DATABASE"]
    assert (pooled["PORT"], pooled["OPTIONS"]["target_session_attrs"]) == ("6432", "read-write")
    assert (replica["HOST"], replica["OPTIONS"]["target_session_attrs"]) == ("b", "standby")
    session = "-c statement_timeout=10s -c work_mem=1MB -c default_transaction_read_only=on"
    assert replica["OPTIONS"]["options"] == session
    found = settings(tmp_path, *names, **urls)  # the embedded database has neither
    assert [name for name, _ in found["SETTINGS_ERRORS"]] == list(urls)


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("", "", ""),
        ("db.example.com", "db.example.com", ""),
        ("a:5432,b:5433", "a,b", "5432,5433"),
        ("a,b", "a,b", ""),
        ("a,b:5433,", "a,b,", ",5433,"),
        ("[::1]:5432,[fd00::2]", "::1,fd00::2", "5432,"),
        ("%2Frun%2FPG:5432,10.0.0.7:5432", "/run/PG,10.0.0.7", "5432,5432"),
    ],
)
def test_hosts_are_given_as_libpq_wants_them(hosts: str, host: str, port: str) -> None:
    query = "target_session_attrs=read-write&connect_timeout=3&sslmode=prefer&sslmode=require"
    url = f"postgresql://ann:p%40,ss@{hosts}/chat?{query}"
    assert database_settings(url) == {
        "NAME": "chat",
        "USER": "ann",
        "PASSWORD": "p@,ss",
        "HOST": host,
        "PORT": port,
        "OPTIONS": {"target_session_attrs": "read-write", "connect_timeout": 3, "sslmode": "require"},
    }
    parsed = psycopg.conninfo.conninfo_to_dict(url)  # libpq's own reading of the URL
    ports = str(parsed.get("port", ""))
    assert (parsed.get("host", ""), ports.strip(",") and ports) == (host, port)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@a:5432,b:port/chat",
        "postgresql://ann:s3cret@a:0,b/chat",
        "postgresql://ann:s3cret@a:70000/chat",
        "postgresql://ann:s3cret@a:1:2/chat",
        "postgresql://ann:s3cret@[::1/chat",
        "postgresql://ann:s3cret@a,b/",
        "postgresql://ann:s3#cret@a/chat",
        "mysql://ann:s3cret@a/chat",
        "s3cret",
    ],
)
def test_a_wrong_database_url_is_refused_and_its_password_never_shown(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        database_settings(url)
    shown = "".join(traceback.format_exception(refused.value))
    assert "s3cret" not in shown
    assert "cret@" not in shown


def test_the_check_on_a_wrong_database_url_names_it_without_its_password(tmp_path: Path) -> None:
    environment = product_environment(tmp_path, DATABASE_URL="postgresql://ann:s3cret@a:5432,b:port/chat")
    done = manage("check", environment=environment)
    assert done.returncode == 1
    assert "(chatapi.E005) DATABASE_URL: use postgresql://user:password@host:5432/database." in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


ASK = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT current_database(), pg_is_in_recovery()")
    print(*cursor.fetchone())
"""


def test_the_second_host_is_used_when_the_first_refuses(
    tmp_path: Path, transactional_db: None, database_server: Server
) -> None:
    database = connection.settings_dict
    nothing_there, socket_folder = quote(str(tmp_path), safe=""), quote(database["HOST"], safe="")
    for first in (f"127.0.0.1:{free_port()}", f"{nothing_there}:5432"):
        hosts = f"{first},{socket_folder}:{database['PORT']}"
        url = f"postgresql://{database['USER']}@{hosts}/{database['NAME']}?target_session_attrs=any"
        done = subprocess.run(
            [sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, timeout=60,
            env=product_environment(tmp_path, DJANGO_SETTINGS_MODULE="chatapi.settings", DATABASE_URL=url),
        )  # fmt: skip
        assert done.stdout.split() == [database["NAME"], "False"], done.stderr


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({}, True),
        ({"DATABASE_URL": "postgresql://user@h/db"}, False),
        ({"SITE_URL": "https://chat.example.org"}, False),
        ({"EMAIL_URL": "smtp://mail.example.org"}, False),
    ],
)
def test_mail_is_printed_on_a_laptop_alone(
    tmp_path: Path, environment: dict[str, str], printed: bool
) -> None:
    found = settings(tmp_path, "MAIL_IS_PRINTED", "EMAIL_BACKEND", "EMAIL_TIMEOUT", **environment)
    assert (found["MAIL_IS_PRINTED"], "console" in found["EMAIL_BACKEND"]) == (printed, printed)
    assert found["EMAIL_TIMEOUT"] == 20


def test_smtp_takes_a_share_of_the_threads(tmp_path: Path) -> None:
    found = settings(tmp_path, "EMAIL_BACKEND", "EMAIL_HOST", EMAIL_URL="smtp://mail.example.org")
    assert found == {
        "EMAIL_BACKEND": "chatapi.runtime.waiting_mail.EmailBackend",
        "EMAIL_HOST": "mail.example.org",
    }

"""Planted faults of settings, files and the machine."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.files.storage import storages
from pytest_django.fixtures import Settings

from chatapi.runtime.doctor.findings import Level
from tests.chatapi.runtime.doctor.finding import find, found
from tests.product import free_port

NOTE, WARNING, ERROR = Level.NOTE, Level.WARNING, Level.ERROR


@pytest.fixture
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    """An empty DATA_DIR, as the first start creates it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    settings.DATA_DIR = folder
    return folder


# -- settings


@pytest.mark.parametrize(
    ("check", "changed", "level", "problem", "next_step"),
    [
        ("settings", {"PORT": 70_000}, ERROR, "PORT: 70000 is not a port number.", "PORT=8000"),
        ("mail-settings", {"EMAIL_URL": "", "MAIL_IS_PRINTED": False}, WARNING, "EMAIL_URL: it is unset",
         "EMAIL_URL=submission://"),
        ("proxy-settings", {"HTTPS": True, "TRUSTED_PROXIES": []}, WARNING, "no proxy is trusted", "TRUSTED_PROXIES="),
        ("refused-networks", {"IS_LAPTOP": False, "HTTPS": True}, WARNING,
         "hooks to loopback and private networks are refused", "HOOKS_ALLOW_NETWORKS="),
        ("open-networks", {"IS_LAPTOP": False, "HTTPS": True, "SIGNUP": "open", "HOOKS_ALLOW_NETWORKS": ["10.0.0.0/8"]},
         WARNING, "anyone can create an account on this public site, and send hooks to 10.0.0.0/8", "SIGNUP=invited"),
        ("open-networks", {"IS_LAPTOP": False, "HTTPS": True, "SIGNUP": "invited",
                           "HOOKS_ALLOW_NETWORKS": ["93.184.216.0/24", "127.0.0.0/8"]},
         NOTE, "users of this site can send hooks to 127.0.0.0/8.", "remove these networks"),
        ("metadata-service", {"HOOKS_ALLOW_NETWORKS": ["169.254.169.254/32"]}, WARNING,
         "credentials of this machine from its cloud's metadata service (169.254.169.254)", "Remove this address"),
        ("debug", {"DEBUG": True, "IS_LAPTOP": False}, WARNING, "error pages show code and settings", "Unset DEBUG"),
        ("host-names", {"ALLOWED_HOSTS": ["*"]}, WARNING, "DNS rebinding", "ALLOWED_HOSTS=chat.example.com"),
        ("weak-keys", {"SECRET_KEY": "short"}, ERROR, "links and sessions can be forged", "openssl rand -hex 32"),
        ("weak-keys", {"SECRET_KEY": "k" * 40, "SECRETS_KEY": ("k" * 40,)}, WARNING, "the same as SECRET_KEY",
         "rotate_secrets"),
    ],
)  # fmt: skip
def test_settings(
    settings: Settings, check: str, changed: dict[str, Any], level: Level, problem: str, next_step: str
) -> None:
    assert find(check) == []
    for name, value in changed.items():
        setattr(settings, name, value)
    found(check, level, problem, next_step)


# -- files


@pytest.mark.parametrize(
    ("name", "mode"), [("secret_key", 0o644), ("secrets_key", 0o640), ("demo.json", 0o604), ("pg.log", 0o644)]
)
def test_a_secret_that_others_can_read(data_dir: Path, name: str, mode: int) -> None:
    path = data_dir / name
    path.write_text("x")
    path.chmod(0o600)
    assert find("secret-files") == []
    path.chmod(mode)
    found("secret-files", ERROR, f"can open {path} (mode {mode:o})", f"chmod 600 {path}")


def test_a_folder_of_the_database_that_others_can_open(data_dir: Path) -> None:
    (data_dir / "pg").mkdir(mode=0o755)
    found("secret-files", ERROR, "can open", f"chmod 700 {data_dir / 'pg'}")


def test_a_file_of_a_secret_that_every_user_can_read(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mail_url"
    path.write_text("submission://user:password@mail.example.com")
    monkeypatch.setenv("EMAIL_URL_FILE", str(path))
    path.chmod(0o640)
    assert find("secret-files") == []
    path.chmod(0o644)
    found("secret-files", ERROR, f"can open {path} (mode 644)", f"chmod 640 {path}")


def test_a_data_folder_that_every_user_can_write_to(data_dir: Path) -> None:
    assert find("data-folder") == []
    data_dir.chmod(0o777)
    found("data-folder", ERROR, "Every user of this machine can write to DATA_DIR", f"chmod o-w {data_dir}")
    data_dir.chmod(0o1777)
    assert find("data-folder") == []


def authority_file(path: Path, ends: timedelta) -> str:
    """Writes the certificate of an authority that expires then; returns the path."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(path)


def test_trusted_certificates_that_have_expired_or_soon_will(tmp_path: Path, settings: Settings) -> None:
    assert find("certificates") == []  # certifi's
    settings.HOOKS_CA_FILE = authority_file(tmp_path / "valid.pem", timedelta(days=300))
    assert find("certificates") == []
    settings.HOOKS_CA_FILE = authority_file(tmp_path / "soon.pem", timedelta(days=5))
    found("certificates", WARNING, "a certificate in it expires in 4 days", "Add its successor")
    settings.HOOKS_CA_FILE = authority_file(tmp_path / "old.pem", timedelta(days=-1))
    found("certificates", ERROR, "all of its certificates have expired", "Replace")


def test_a_file_without_certificates(tmp_path: Path, settings: Settings) -> None:
    settings.HOOKS_CA_FILE = __file__
    found("settings", ERROR, "contains no PEM certificate", "A file of PEM certificates")


def test_a_machine_without_time_zones(tmp_path: Path) -> None:
    assert find("time-zones") == []
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([str(tmp_path)])
    try:
        found("time-zones", WARNING, "no time zone data", "tzdata")
    finally:
        zoneinfo.reset_tzpath(before)


def test_static_files_that_are_missing_or_old(data_dir: Path, settings: Settings) -> None:
    backend = "whitenoise.storage.CompressedManifestStaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": backend}}
    settings.STATIC_ROOT = data_dir / "static"
    found("static-files", ERROR, "every page responds with an error", "collectstatic")
    settings.STATIC_ROOT.mkdir()
    (settings.STATIC_ROOT / "staticfiles.json").write_text("{}")
    assert find("static-files") == []
    (data_dir / "static.digest").write_text("that of another version")
    found("static-files", WARNING, "those of another version", "collectstatic")


@pytest.fixture
def media(settings: Settings, data_dir: Path) -> Iterator[Callable[..., None]]:
    """Changes the store of media for the test."""
    before = settings.STORAGES

    def change(**storage: Any) -> None:
        settings.STORAGES = before | {"media": storage}

    change(
        BACKEND="django.core.files.storage.FileSystemStorage", OPTIONS={"location": str(data_dir / "media")}
    )
    yield change


def test_a_store_of_media_that_cannot_be_written(media: Callable[..., None], data_dir: Path) -> None:
    assert find("media") == []
    (data_dir / "media").rmdir()  # nothing is left in it
    (data_dir / "media").write_text("a file in its place")
    finding = found("media", ERROR, "files of messages are refused", f"Give {data_dir / 'media'}")
    assert finding.detail


def test_a_full_disk_of_media(media: Callable[..., None], small_disk: Callable[[str], Path]) -> None:
    disk = small_disk("size=64k")
    with pytest.raises(OSError, match="No space left"), (disk / "filled").open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    media(BACKEND="django.core.files.storage.FileSystemStorage", OPTIONS={"location": str(disk / "media")})
    finding = found("media", ERROR, "The store of media cannot be written", "make it writable")
    assert "No space left" in finding.detail


def test_a_bucket_that_cannot_be_reached(media: Callable[..., None], settings: Settings) -> None:
    from botocore.config import Config

    settings.MEDIA_S3_BUCKET = "files"
    media(
        BACKEND="storages.backends.s3.S3Storage",
        OPTIONS={
            "bucket_name": "files", "endpoint_url": f"http://127.0.0.1:{free_port()}", "access_key": "AKIAEXAMPLE",
            "secret_key": "hush-hush", "client_config": Config(retries={"total_max_attempts": 1}),
        },
    )  # fmt: skip
    assert storages["media"]
    found("media", ERROR, "The store of media cannot be written", "MEDIA_S3_ENDPOINT")


# -- the machine


def test_a_disk_that_is_almost_full(settings: Settings, small_disk: Callable[[str], Path]) -> None:
    settings.DATA_DIR = small_disk("size=1m")
    assert find("disk-space") == []
    settings.DISK_MIN_FREE_PERCENT = 10
    (settings.DATA_DIR / "large").write_bytes(bytes(970_000))
    found("disk-space", WARNING, "The disk of DATA_DIR is almost full", "Free space on this disk")


def test_a_disk_without_inodes(settings: Settings, small_disk: Callable[[str], Path]) -> None:
    settings.DATA_DIR = small_disk("size=1m,nr_inodes=50")
    assert find("inodes") == []
    for number in range(48):
        (settings.DATA_DIR / str(number)).touch()
    found("inodes", ERROR, "almost no inodes left: 1 of 50 are free", "Delete small files")


def test_no_space_for_temporary_files(
    small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find("temporary-files") == []
    monkeypatch.setattr("tempfile.tempdir", str(small_disk("size=1m")))
    found("temporary-files", WARNING, "large uploads are refused", "TMPDIR")


@contextmanager
def service(
    folder: Path, code: str, limits: tuple[int, int] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `manage.py worker` of a program of the test's own: this code, which prints a line when it is ready."""
    (folder / "chatapi").mkdir(exist_ok=True)
    limit = f"resource.setrlimit(resource.RLIMIT_NOFILE, {limits})" if limits else ""
    lines = ("import resource, time", limit, code, "print('ready', flush=True)", "time.sleep(600)")
    (folder / "manage.py").write_text("\n".join(lines))
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker"],
        cwd=folder,
        stdout=subprocess.PIPE,
        env={"DATA_DIR": str(folder / "data")},
    )
    assert process.stdout
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def program(tmp_path: Path, settings: Settings) -> Path:
    settings.BASE_DIR, settings.DATA_DIR = tmp_path, tmp_path / "data"
    return tmp_path


def test_code_that_is_newer_than_its_processes(program: Path) -> None:
    with service(program, "") as process:
        code = program / "chatapi" / "new.py"
        code.write_text("")
        os.utime(code, (time.time() - 3600,) * 2)
        assert find("old-processes") == []
        os.utime(code, (time.time() + 2,) * 2)
        finding = found(
            "old-processes", WARNING, "after running processes had loaded it", "Restart the product"
        )
        assert finding.detail == f"manage.py worker (process {process.pid})"


def test_a_low_limit_of_open_files(program: Path) -> None:
    assert find("open-files") == []
    with service(program, "", limits=(256, 256)):
        found("open-files", WARNING, "The limit of open files is 256", "LimitNOFILE=65536")


def test_a_process_that_has_used_its_open_files(program: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with service(program, "kept = [open('/dev/null') for _ in range(55)]", limits=(64, hard)) as process:
        found("open-files", WARNING, f"The process {process.pid} (manage.py worker) has", "Raise the limit")


def test_a_check_that_cannot_be_carried_out_is_no_pass(settings: Settings) -> None:
    from chatapi.runtime.doctor.checklist import BY_NAME
    from chatapi.runtime.doctor.runs import carry_out

    settings.DATA_DIR = Path("/nowhere")
    result = carry_out(BY_NAME["disk-space"])
    assert (result.reason, result.level) == ("the free space of the disk of DATA_DIR cannot be read", WARNING)

"""Nothing is found on a healthy site: as `make run` starts it, and with its own PostgreSQL behind a proxy with TLS."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest
import trustme

from chatapi.runtime.doctor.checklist import CHECKS
from chatapi.runtime.doctor.site_report import NAME
from chatapi.runtime.doctor.start_watch import SITE_CHECKS
from tests.chatapi.runtime.doctor.finding import complaints, doctor
from tests.faults.databases import Database
from tests.product import READY_SECONDS, Product, free_port, manage
from tests.proxies import Front, tls_proxy
from tests.requirements import cannot_run

pytestmark = pytest.mark.timeout(3 * READY_SECONDS)


def healthy_report(product: Product, expected: frozenset[str] = frozenset()) -> tuple[int, dict[str, object]]:
    """Returns exit code and complaints, as soon as the sender runs: `Ready` does not wait for it."""
    until = time.monotonic() + READY_SECONDS
    while True:
        code, checks = doctor(product.environment)
        assert len(checks) == len(CHECKS)
        if complaints(checks).keys() <= expected or time.monotonic() > until:
            return code, complaints(checks)
        time.sleep(1)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product of this file's own: of the one that tests share, some kill the database, and its tasks then fail."""
    with Product(tmp_path_factory.mktemp("healthy")) as product:
        yield product


def test_the_product_as_make_run_starts_it(started: Product) -> None:
    assert healthy_report(started) == (0, {})


def test_the_report_for_people_is_short(started: Product) -> None:
    healthy_report(started)
    done = manage("doctor", environment=started.environment)
    lines = [line for line in done.stdout.splitlines() if line]
    assert (done.returncode, len(lines)) == (0, 2), done.stdout
    assert lines[1] == f"✓ {len(CHECKS)} checks found nothing wrong (--all lists them)."


def test_root_sees_what_the_user_of_the_product_sees(started: Product) -> None:
    """A folder of root's is writable for root only."""
    if os.getuid() != 0:
        cannot_run("root does not start the product here")
    healthy_report(started)
    media, owner = started.data_dir / "media", started.data_dir.stat()
    media.mkdir(exist_ok=True)
    os.chown(media, 0, 0)
    try:
        code, checks = doctor(started.environment)
    finally:
        os.chown(media, owner.st_uid, owner.st_gid)
    assert (code, list(complaints(checks))) == (2, ["media"])
    [finding] = checks["media"]["findings"]
    assert "Permission denied" in finding["detail"] and str(started.data_dir) not in finding["detail"]


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, Front]]:
    """A site with PostgreSQL of its own behind nginx with TLS."""
    folder = tmp_path_factory.mktemp("behind")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    database = Database(folder / "database")
    port, target = free_port(), free_port()
    with (
        tls_proxy("nginx", target, folder / "nginx", authority.issue_cert("localhost"), port=port) as front,
        Product(
            folder / "data",
            target,
            DATABASE_URL=database.url,
            SECRETS_KEY=database.environment["SECRETS_KEY"],
            SITE_URL=front.url,
            HOOKS_CA_FILE=str(folder / "ca.pem"),
        ) as product,
    ):
        yield product, front
    database.stop()


# Not wrong in these tests: mail is not set up, and the server is a thrown-away one, which does not wait for the disk.
EXPECTED = frozenset({"mail-settings", "safe-commits"})


def test_a_site_behind_a_proxy(behind_proxy: tuple[Product, Front]) -> None:
    product, _ = behind_proxy
    code, found = healthy_report(product, EXPECTED)
    assert code == 2
    assert set(found) == set(EXPECTED), found


def test_a_start_behind_a_right_proxy_says_nothing(behind_proxy: tuple[Product, Front]) -> None:
    product, _ = behind_proxy
    report = product.data_dir / NAME
    while not report.exists():
        time.sleep(0.1)
    checks = json.loads(report.read_text())["checks"]
    assert [check["name"] for check in checks] == [check.name for check in SITE_CHECKS]
    assert [check for check in checks if check["findings"] or check["reason"]] == []
    assert [line for line in product.lines if "[site]" in line] == []

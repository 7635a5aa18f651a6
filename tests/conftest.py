"""Fixtures of every test: a PostgreSQL for this run and, on request, the product as a process."""

import gc
import os
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.db.models.signals import post_migrate
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg.pq import TransactionStatus

from chatapi.runtime.postgres import server as postgres_server
from hooks.models import CountingStart
from hooks.wakeups import notifier
from instances.limits import login_throttle, rate_counters
from tests import session_client  # noqa: F401 - changes the test client
from tests.emptied_tables import emptied_tables  # noqa: F401 - a fixture
from tests.product import READY_SECONDS, Product
from tests.servers.prosody import Prosody
from tests.servers.synapse import Synapse
from tests.sessions import remember_password
from tests.workers import (  # noqa: F401 - hooks of pytest
    compile_code,
    imports_product,
    pytest_cmdline_main,
    pytest_xdist_make_scheduler,
)

# Seconds that a test may take, its fixtures included; pyproject.toml has the default. These folders start the product,
# kill it and wait until it has recovered, or drive a browser.
TIMEOUTS = {"acceptance": 600, "attacks": 600, "browser": 600, "faults": 900, "receivers": 600}
PRODUCT_TIMEOUT = 2 * READY_SECONDS

# On a slow machine an example may take longer than 200 ms, and the first data than a second: neither is a failure.
hypothesis_settings.register_profile(
    "slow machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("slow machine")


def pytest_configure(config: pytest.Config) -> None:
    """Restores signals, and compiles the code before several processes run the tests.

    The tests and their child processes rely on these signals, and our parent process may ignore them: with SIGCHLD
    ignored every child would seem to end with 0. SIGINT and SIGHUP stay as they are (`nohup make test &`).
    """
    for number in (signal.SIGTERM, signal.SIGCHLD):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        compile_code()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives more time to tests that are known to need it, unless they say so themselves."""
    for item in items:
        if item.get_closest_marker("timeout"):
            continue
        seconds = TIMEOUTS.get(item.path.relative_to(Path(__file__).parent).parts[0])
        starts_product = "product" in getattr(item, "fixturenames", ()) or imports_product(item.path)
        if seconds is None and starts_product:
            seconds = PRODUCT_TIMEOUT
        if seconds:
            item.add_marker(pytest.mark.timeout(seconds))


def pytest_collection_finish() -> None:
    """Makes garbage collection look only at what tests create, and less often.

    What is in memory by now (the modules and all tests) stays until the end of the run. Each full collection went
    through it again, in 0.2 to 0.4 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Closes a connection whose statement was cut off by the time limit of the test before; it is opened again.

    Every other test of the process would fail with "another command is already in progress".
    """
    session = connection.connection
    if session is not None and session.info.transaction_status == TransactionStatus.ACTIVE:
        connection.close()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the folder that tests/settings.py created for this run."""
    if os.environ.get("TEST_DATA_OWNER") == str(os.getpid()):
        shutil.rmtree(os.environ["TEST_DATA_DIR"], ignore_errors=True)


@pytest.fixture(scope="session")
def database_server() -> Iterator[postgres_server.Server]:
    """A PostgreSQL server for this run; it does not wait for the disk, and ends with this process.

    Its plans and the places of its new rows do not depend on when autovacuum comes by.
    """
    path = Path(os.environ["TEST_DATA_DIR"]) / "pg"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(postgres_server.THROWN_AWAY, "autovacuum_naptime", "1d")
        server = postgres_server.start(path, thrown_away=True)
    yield server
    postgres_server.stop(server)
    shutil.rmtree(postgres_server.socket_folder(path), ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(database_server: postgres_server.Server) -> None:
    """Starts the server: pytest-django requests this fixture before it creates the test database."""
    post_migrate.connect(start_counting_long_ago, sender=apps.get_app_config("hooks"))


def start_counting_long_ago(**_: Any) -> None:
    """Makes the charts of all tests read the counts per minute, at any age of the test database.

    Counting starts when the database is migrated: charts would read other tables in the first minutes of a run than
    later, and again after a test whose end deletes all rows. Django also sends post_migrate after that.
    """
    if CountingStart._meta.db_table in connection.introspection.table_names():
        CountingStart.objects.update_or_create(pk=1, defaults={"at": datetime(2000, 1, 1, tzinfo=UTC)})


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """Closes the session of the wake-ups before pytest-django drops the test database."""
    yield
    notifier.close()


@pytest.fixture(scope="session", autouse=True)
def prepared_products(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New products and databases are copies of folders that are created when they are first needed, once for a run."""
    root = tmp_path_factory.getbasetemp()
    Product.prepared_in = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "prepared"
    Product.prepared_in.mkdir(exist_ok=True)
    yield
    Product.prepared_in = None


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The real `manage.py up` with its own DATA_DIR and port, ready, shared by all tests of the run.

    Their wrong tokens come from one address, which must not be locked out for the tests that follow.
    """
    folder = tmp_path_factory.mktemp("product")
    with Product(folder, CONTRACT_WRONG_TOKENS_PER_MINUTE="1000000") as running:
        yield running


@pytest.fixture(scope="session")
def synapse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synapse]:
    """A Matrix homeserver, shared by all tests of the run: each registers users of its own."""
    with Synapse(tmp_path_factory.mktemp("synapse")) as running:
        yield running


@pytest.fixture(scope="session")
def prosody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prosody]:
    """An XMPP server, shared by all tests of the run: each registers accounts of its own."""
    with Prosody(tmp_path_factory.mktemp("prosody")) as running:
        yield running


@pytest.fixture
def checked(transactional_db: None) -> Iterator[None]:
    """Runs `manage.py hooks check` and `messages check` on the tests' database after the test; both must exit with 0.

    For the product's database, see ProductInstance.counts in tests/faults.
    """
    yield
    for kind in ("hooks", "messages"):
        said = StringIO()
        try:
            call_command(kind, "check", stdout=said)
        except SystemExit:
            pytest.fail(f"{kind} were lost:\n{said.getvalue()}")


@pytest.fixture(autouse=True)
def forced_logins_count_as_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`client.force_login` also enters the password: sensitive changes ask for it (accounts/reauthentication.py).

    Tests of the question itself sign in on the page, or call tests.sessions.forget_password.
    """
    force_login = Client.force_login

    def confirmed(self: Client, user: Any, backend: str | None = None) -> None:
        force_login(self, user, backend)
        remember_password(self, user)

    monkeypatch.setattr(Client, "force_login", confirmed)


@pytest.fixture(autouse=True)
def nothing_counted_yet() -> None:
    """Resets what a process remembers, so no test uses up the calls of the next one's minute."""
    caches["process"].clear()
    rate_counters.reset()
    login_throttle.reset()


@pytest.fixture
def same_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts all calls of the test in one minute, also if the clock's minute ends during the test."""
    began = time.time()
    monkeypatch.setattr(
        rate_counters, "current_period", lambda period=rate_counters.MINUTE: int(began // period)
    )

"""Every fault ends in `manage.py hooks check`."""

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command


@pytest.fixture
def checked(transactional_db: None) -> Iterator[None]:
    """The rows of the run's own database must add up when the test is over. (The product's are asked by at_work.py.)"""
    yield
    said = StringIO()
    try:
        call_command("hooks", "check", stdout=said)
    except SystemExit:
        pytest.fail(f"hooks were lost:\n{said.getvalue()}")

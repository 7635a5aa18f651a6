"""Alice and Dora, who have signed up. The counter of sign-in attempts is empty at the start of a test.

allauth keeps its counts of attempts in the cache of the process.
"""

import pytest
from django.core.cache import cache

from accounts.actions.users import sign_up
from accounts.models import Account, User


@pytest.fixture(autouse=True)
def no_counted_attempts() -> None:
    cache.clear()


@pytest.fixture
def alice(db: None) -> Account:
    return sign_up("alice@example.org", password="correct horse 9")


@pytest.fixture
def dora(db: None) -> User:
    return sign_up("dora@example.org", password="correct horse 9").owner

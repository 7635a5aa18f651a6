"""Alice and Dora, who have signed up. Attempts are counted in the database, so each test starts with none."""

import pytest

from accounts.actions.users import sign_up
from accounts.models import Account, User


@pytest.fixture
def alice(db: None) -> Account:
    return sign_up("alice@example.org", password="correct horse 9")


@pytest.fixture
def dora(db: None) -> User:
    return sign_up("dora@example.org", password="correct horse 9").owner

"""Every test starts with nobody counted: allauth keeps its counts of tries in the cache of the process."""

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def nobody_counted() -> None:
    cache.clear()

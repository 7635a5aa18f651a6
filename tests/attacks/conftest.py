"""Attacks meet the site's rules, not its rate limits, which have tests of their own."""

import logging
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings


@pytest.fixture(autouse=True)
def no_rate_limits(settings: Settings) -> None:
    """Hundreds of requests a second come from one IP address."""
    settings.ACCOUNT_RATE_LIMITS = False
    settings.CONTRACT_WRONG_TOKENS_PER_MINUTE = 1_000_000
    settings.CONTRACT_CALLS_PER_MINUTE = 1_000_000
    settings.CONTRACT_ACCOUNT_CALLS_PER_MINUTE = 1_000_000


@pytest.fixture
def quiet() -> Iterator[None]:
    """No log lines: one for each of thousands of refused requests takes more time than the request."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)

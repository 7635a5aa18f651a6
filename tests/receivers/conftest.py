"""Each test of this folder runs once for every language."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.receivers.google import Google
from tests.receivers.languages import LANGUAGES


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    with Google(tmp_path_factory.mktemp("google")) as google:
        yield google


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, language: str) -> Path:
    return tmp_path_factory.mktemp(language)

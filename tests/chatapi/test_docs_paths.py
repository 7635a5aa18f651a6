"""Every path of this repository that README, CONTRIBUTING and docs name in backticks or link to exists."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "chatapi/runtime/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
TOP = (
    "accounts/",
    "chatapi/",
    "deploy/",
    "docs/",
    "hooks/",
    "instances/",
    "static/",
    "templates/",
    "testing_tools/",
    "tests/",
)
BACKTICKED = re.compile(r"`([\w./-]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_exists(page: Path) -> None:
    text = page.read_text()
    paths = [ROOT / path for path in BACKTICKED.findall(text) if path.startswith(TOP)]
    links = [page.parent / path for path in LINK.findall(text)]
    assert [str(path.relative_to(ROOT)) for path in paths if not path.exists()] == []
    assert [str(path) for path in links if not path.exists()] == []

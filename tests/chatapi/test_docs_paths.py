"""Every path and heading that README, CONTRIBUTING and docs name in backticks or link to exists."""

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
TO_HEADING = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*\.md)?#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_exists(page: Path) -> None:
    text = page.read_text()
    paths = [ROOT / path for path in BACKTICKED.findall(text) if path.startswith(TOP)]
    links = [page.parent / path for path in LINK.findall(text)]
    assert [str(path.relative_to(ROOT)) for path in paths if not path.exists()] == []
    assert [str(path) for path in links if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_heading_that_a_link_names_exists(page: Path) -> None:
    named = [
        (page.parent / path if path else page, anchor)
        for path, anchor in TO_HEADING.findall(page.read_text())
    ]
    assert [f"{target}#{anchor}" for target, anchor in named if anchor not in anchors(target)] == []


def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page; of equal headings, that of the first."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

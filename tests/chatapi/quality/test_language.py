"""The language check: our files pass it, it finds what it must, and leaves plain words alone."""

import pytest

from chatapi.quality import language


def found(text: str, path: str = "hooks/retries.py") -> list[str]:
    return language.problems({path: text}, allowed={}, language_not_yet=(), width_not_yet=())


def test_our_files_pass() -> None:
    assert language.problems(language.our_files()) == []


@pytest.mark.parametrize(
    "text",
    [
        "# Nobody reads this.",
        '"""What came of it."""',
        "# The lane goes on.",
        "# The template stands in a folder.",
        "# 20 attempts in all.",
        'x = "Of its own accord"',
        "# The user is told why.",
        "def harvest() -> None:",
        "thread.take_in(result)",
        "class Seat:",
        "    async def touch(self) -> None:",
        "function tell(text) {",
    ],
)
def test_archaic_words_and_names_are_found(text: str) -> None:
    assert len(found(f"import this\n{text}\n")) == 1
    assert found(f"import this\n{text}\n")[0].startswith("hooks/retries.py:2: the ")


@pytest.mark.parametrize(
    "text",
    [
        "# `k` stands for the key.",
        "# Letters in all languages.",
        "# The category at the right-hand side.",
        "touch = path.touch()",
        "rows = values = words = []",
        "class SeatMap:",
    ],
)
def test_plain_words_pass(text: str) -> None:
    assert found(text) == []


def test_names_of_modules_are_found() -> None:
    for path in ("hooks/gone.py", "tests/hooks/test_gone.py", "instances/contract/cards.py"):
        assert found("", path) == [f'{path}:0: the module name "{path.split("/")[-1].removesuffix(".py")}"']
    assert found("", "instances/pages/history/history.py") == []


def test_a_template_line_has_at_most_120_characters() -> None:
    assert found("x" * 120, "templates/a.html") == []
    assert found("x\n" + "x" * 121, "templates/a.html") == ["templates/a.html:2: 121 characters; at most 120"]
    assert found("x" * 121, "templates/account/email/mail.txt") == []


def test_an_allowed_line_is_not_found_but_an_entry_that_is_not_needed_is() -> None:
    allowed = {("a.py", "Nobody knows"): "a sentence of the old contract"}

    assert language.problems({"a.py": "Nobody knows it"}, allowed, (), ()) == []
    assert language.problems({"a.py": "All know it"}, allowed, (), ()) == [
        "a.py: 'Nobody knows' is allowed, but not found"
    ]

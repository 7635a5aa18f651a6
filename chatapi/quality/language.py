"""Checks the language of code, templates, JS, CSS and docs: `python -m chatapi.quality.language`.

Finds words and names that a newcomer would have to translate, and template lines over 120 characters. Not checked:
migrations, packages of others, test data of the old server, and docs/openapi.yaml, which is generated from the code.
"""

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
TREES = ("accounts", "chatapi", "docs", "hooks", "instances", "static", "templates", "testing_tools", "tests")
FILES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "manage.py",
    "pyproject.toml",
    "biome.jsonc",
)
SUFFIXES = {".py", ".html", ".txt", ".js", ".css", ".md", ".php", ".java", ".cs"}
SKIPPED_FOLDERS = {"migrations", "vendor", "__pycache__", "node_modules"}
# These two name the words.
SKIPPED_FILES = {"chatapi/quality/language.py", "tests/chatapi/quality/test_language.py"}
TEMPLATE_WIDTH = 120  # characters; text mails and messages are not HTML and are excepted

# Not yet clean: files, and folders without their subfolders, whose findings are not reported. These lists only shrink.
LANGUAGE_NOT_YET: tuple[str, ...] = ()
WIDTH_NOT_YET: tuple[str, ...] = ()

# Words and phrases, as regular expressions without regard to case; not the end of a string, as in values of tests.
WORDS = (
    "nobody",
    "somebody",
    "whoever",
    "anew",
    r"stands(?! for\b)",
    "what came of",
    "(?:go|goes|going|went) on",
    "at hand",
    r"in all(?=\s*(?:[.,;:)]|\d|$))",
    "once more",
    "of (?:its|their) own accord",
    "which (?:is|are) to be",
    "what (?:is|are) to be",
    "(?:come|comes|came) to be",
    "(?:is|are|was|were|be|been|being) told",
    "made by hand",
    "sees? to it",
    "(?:can|may) be had",
    "heretofore|hitherto|thereof|therein|wherein|whence|thence|lest",
    "of the house",
    "hungry",
    "harvest(?:s|ed)?",
    "everybody",
    "by hand",
    "by way of",
    "wh(?:ere|ile) there is one",
    "as (?:it|they) came",
    "kept in step",
    "nothing but",
    "has had its",
    "no longer so",
    "look(?:s|ed|ing)? after",
    "work(?:s|ed)? (?:it |them )?off",
    "by the thousand",
)
# Names that are found wherever they are used.
NAMES = (
    "let_in", "look_around", "borrow_address", "own_url_too", "pause_was_told", "go_on",
    "sit_down", "stand_up", "take_in", "left_out", "retry_seats", "was_right", "locked_out", "come_in",
    "sent_before", "changes_asked", "more_settings", "instances_of", "MindForm", "Deed", "has_had_its_chance",
    "paused_and_not_told", "ask_to_drop", "THEIRS", "AnswerClass", "CLOCKS_APART", "happened_since", "happened_before",
    "LOOKED_AT", "url_fault", "write_people", "wanted_delay", "not_known",
)  # fmt: skip
# Words that are plain as such, but no name for a function or a class.
DEFINITIONS = (
    "Seat", "seats", "Bell", "ring", "heard", "suspect", "keepers", "ill", "guesses", "minds", "chief", "More",
    "asked", "made", "moments", "tell", "told", "telling", "patience", "touch", "gone", "guarded", "looking",
    "fates", "person", "settled", "is_settled", "strangers",
)  # fmt: skip
# Names of modules, with or without test_ before them; those of CONTRACT_MODULES only in instances/contract.
MODULES = {
    "gone", "telling", "many", "words", "loops", "minds", "sent_before", "acting", "outbound", "guesses",
    "more_settings", "changes_asked", "moments", "guarded", "silence", "looking", "own_data", "leaving",
    "answers", "streams", "figures", "values", "rows", "listing", "shown",
    "not_known", "people",
}  # fmt: skip
CONTRACT_MODULES = {"cards", "contents", "control", "history", "reading"}

# What is allowed nevertheless: (file, a part of the line) and the reason.
ALLOWED: dict[tuple[str, str], str] = {
    ("hooks/http.py", "pycurl.NOBODY"): "the name of an option of libcurl",
}

_WORD = re.compile(
    r"(?<![\w-])(?:" + "|".join(WORDS) + r")(?![\w@/-]|\"[,:)\]}])", re.IGNORECASE | re.MULTILINE
)
_NAME = re.compile(r"(?<!\w)(?:" + "|".join(NAMES) + r")(?!\w)")
_DEFINITION = re.compile(
    r"^\s*(?:(?:async )?def|class|function) (?:" + "|".join(DEFINITIONS) + r")\b", re.MULTILINE
)


class Finding(NamedTuple):
    """One problem; `line` counts from 1, and is 0 for the name of a file."""

    path: str
    line: int
    what: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def language_findings(path: str, text: str) -> Iterator[Finding]:
    """The words, names and module names of one file that are not plain English."""
    module = Path(path).stem.removeprefix("test_")
    in_contract = path.startswith("instances/contract/")
    if path.endswith(".py") and (module in MODULES or (in_contract and module in CONTRACT_MODULES)):
        yield Finding(path, 0, f'the module name "{Path(path).stem}"', Path(path).name)
    starts: list[int] = []
    for kind, pattern in (("word", _WORD), ("name", _NAME), ("definition", _DEFINITION)):
        for match in pattern.finditer(text):
            starts = starts or [0, *(found.end() for found in re.finditer("\n", text))]
            found = match[0].lstrip()
            row = bisect_right(starts, match.end() - len(found))
            line = text[starts[row - 1] :].partition("\n")[0]
            yield Finding(path, row, f'the {kind} "{" ".join(found.split())}"', line)


def width_findings(path: str, text: str) -> Iterator[Finding]:
    """The lines of one HTML template that are too long."""
    if not (path.startswith("templates/") and path.endswith(".html")):
        return
    for row, line in enumerate(text.splitlines(), start=1):
        if len(line) > TEMPLATE_WIDTH:
            yield Finding(path, row, f"{len(line)} characters; at most {TEMPLATE_WIDTH}", line)


def not_allowed(
    findings: Iterable[Finding], allowed: dict[tuple[str, str], str], used: set[tuple[str, str]]
) -> Iterator[Finding]:
    """The findings without those that `allowed` names; adds the entries that were needed to `used`."""
    for finding in findings:
        entry = next((e for e in allowed if e[0] == finding.path and e[1] in finding.text), None)
        if entry is None:
            yield finding
        else:
            used.add(entry)


def is_in(path: str, places: tuple[str, ...]) -> bool:
    """Whether `path` is one of `places`, or directly in one of these folders."""
    return path in places or str(Path(path).parent) in places


def problems(
    files: dict[str, str],
    allowed: dict[tuple[str, str], str] = ALLOWED,
    language_not_yet: tuple[str, ...] = LANGUAGE_NOT_YET,
    width_not_yet: tuple[str, ...] = WIDTH_NOT_YET,
) -> list[str]:
    """One line for each finding, and for each entry of `allowed` that is not needed."""
    found: list[Finding] = []
    used: set[tuple[str, str]] = set()
    for path, text in sorted(files.items()):
        language = list(not_allowed(language_findings(path, text), allowed, used))
        found += [] if is_in(path, language_not_yet) else language
        found += [] if is_in(path, width_not_yet) else width_findings(path, text)
    unneeded = sorted(set(allowed) - used)
    return [str(finding) for finding in found] + [
        f"{path}: {part!r} is allowed, but not found" for path, part in unneeded
    ]


def our_files() -> dict[str, str]:
    """Path and text of each file that is checked."""
    files = {name: (ROOT / name).read_text() for name in FILES if (ROOT / name).exists()}
    folders = [ROOT / name for name in TREES]
    while folders:
        for path in folders.pop().iterdir():
            if path.is_dir():
                if path.name not in SKIPPED_FOLDERS:
                    folders.append(path)
            elif path.suffix in SUFFIXES:
                files[str(path.relative_to(ROOT))] = path.read_text()
    return {path: text for path, text in files.items() if path not in SKIPPED_FILES}


def main() -> int:
    found = problems(our_files())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Every command and setting that the docs name exists, and takes the arguments with which it is shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError

from chatapi.monitoring.alert_list import ALERTS
from chatapi.runtime.doctor.checklist import BY_NAME

ROOT = Path(settings.BASE_DIR)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r"^```(?s:.*?)^```|(?:^ {4}.*\n)+", re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
# In blocks `chatapi` is also a user, a folder and a database, so it counts at the begin of a command only.
IN_SPAN = re.compile(
    r"^(?:.* )?(?:manage\.py|python -m chatapi) ([a-z].*)$|(?:^|exec web )chatapi ([a-z].*)$"
)
IN_BLOCK = re.compile(r"(?:manage\.py|python -m chatapi|(?:^|bin/|exec web |\$ )chatapi) ([a-z][^`]*)")
MODULE = re.compile(r"python3? -m ([a-z_]+(?:\.[a-z_]+)*)")
VARIABLE = re.compile(
    r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_[A-Z0-9]+|PORT|HOST|SIGNUP|STANDBY|SENDERS|RECEIVERS|DEBUG"
)
# Read by `manage.py backup` alone, whose page describes it; and by the SDK of OpenTelemetry, which documents it.
NO_SETTINGS = {"BACKUP_PASSPHRASE", "OTEL_TRACES_SAMPLER_ARG"}
TROUBLESHOOTING = ROOT / "docs/running/troubleshooting.md"


def commands_in(text: str) -> Iterator[str]:
    """Yields the commands of manage.py in a page, with their arguments."""
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            for part in re.split(r" && |; | \| ", line.strip()):
                if found := IN_BLOCK.search(part):
                    yield found[1]
    for span in SPAN.findall(BLOCK.sub("", text)):
        if found := IN_SPAN.match(" ".join(span.split())):
            yield found[1] or found[2]


def fault_of(command: str) -> str:
    """Returns why the command cannot be run as shown; empty if it can."""
    name, *arguments = shlex.split(command, comments=True)
    app = get_commands().get(name)
    if app is None:
        return f"{command}: there is no such command"
    found = load_command_class(app, name) if isinstance(app, str) else app
    try:
        found.create_parser("manage.py", name).parse_args(arguments)
    except (CommandError, SystemExit) as error:
        # A page may name a command whose arguments it shows elsewhere.
        return f"{command}: {error}" if arguments else ""
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists_and_takes_its_arguments(page: Path) -> None:
    assert [fault for command in commands_in(page.read_text()) if (fault := fault_of(command))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_is_run_exists(page: Path) -> None:
    assert [name for name in MODULE.findall(page.read_text()) if find_spec(name) is None] == []


def test_the_commands_of_pages_are_found() -> None:
    text = "`manage.py hooks\ncheck`, `chatapi doctor --json`\n\n    A=1 manage.py backup /b  # nightly\n"
    text += "    x && bin/chatapi up\n"
    assert [*commands_in(text)] == ["backup /b  # nightly", "up", "hooks check", "doctor --json"]
    assert fault_of("backup /b  # nightly") == fault_of("hooks check") == ""
    assert fault_of("hooks chek") and fault_of("hook check") and fault_of("doctor --jason")


def test_every_command_of_the_alerts_exists() -> None:
    assert [fault for alert in ALERTS for one in commands_in(alert.action) if (fault := fault_of(one))] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/running/*.md")), ids=lambda page: str(page.name))
def test_every_setting_is_documented(page: Path) -> None:
    documented = set(re.findall(r"`(\w+)(?:=[^`]*)?`", (ROOT / "docs/settings.md").read_text()))
    named = {found for span in SPAN.findall(page.read_text()) for found in VARIABLE.findall(span)}
    missing = {
        name for name in named - documented - NO_SETTINGS if name.removesuffix("_FILE") not in documented
    }
    assert missing == set()


def test_the_checks_and_alerts_of_troubleshooting_exist() -> None:
    text = TROUBLESHOOTING.read_text()
    spans = SPAN.findall(BLOCK.sub("", text))
    checks = {span for span in spans if re.fullmatch(r"[a-z]+(-[a-z]+)+", span)}
    assert checks <= set(BY_NAME) | {"worker"}
    alerts = {span for span in spans if span.startswith("ChatAPI")}
    assert alerts
    assert alerts <= {alert.name for alert in ALERTS}


def test_the_sentences_that_troubleshooting_quotes_are_those_of_the_product() -> None:
    shown = "".join(
        path.read_text()
        for folder in ("accounts", "chatapi", "hooks", "instances", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".html"}
    )
    shown = " ".join(re.sub(r'"\n\s*f?"', "", shown).split())
    quoted = re.findall(r'"([^"]+)"', " ".join(TROUBLESHOOTING.read_text().split()))
    assert len(quoted) > 20
    parts = [part.strip() for sentence in quoted for part in sentence.split("…")]
    assert [part for part in parts if part not in shown] == []

"""The commands of docs/testing-in-ci.md, as they stand there, against the real product: a program tests a bot."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.product import Product
from tests.receiver import Receiver
from tests.requirements import cannot_run
from tests.rest import Rest

PAGE = Path(__file__).parent.parent / "docs" / "testing-in-ci.md"
SCRIPT = "\n".join(re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def run(product: Product, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    if missing := [program for program in ("bash", "curl", "jq") if shutil.which(program) is None]:
        cannot_run(f"{', '.join(missing)} is not installed")
    return subprocess.run(
        ["bash", "-c", SCRIPT],
        env={"PATH": os.environ["PATH"], "SITE": product.url, "KEY": product.demo["uid"], **environment},
        cwd=folder, text=True, capture_output=True, timeout=300,
    )  # fmt: skip


def stored(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


def test_the_commands_test_a_bot_from_its_instance_to_the_shared_capture(
    product: Product, tmp_path: Path
) -> None:
    result = run(product, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    found = stored(tmp_path, "next")["capture"]
    hook = json.loads(found["body"])
    assert (hook["messages"][0]["author"], found["attempt"]) == ("17680561234@c.us", "1/1")
    simulated = stored(tmp_path, "hook")
    assert (simulated["simulated"], simulated["attempts"][0]["verdict"]) == (True, "delivered")
    assert stored(tmp_path, "replay")["request"]["body"] == found["body"]
    assert "/shared/" in result.stdout.splitlines()[-1]
    left = Rest(product).call("GET", f"{product.url}/api/v1/instances/")["results"]
    assert "CI" not in [instance["name"] for instance in left]


def test_they_fail_with_a_verdict_when_the_bot_does(product: Product, tmp_path: Path) -> None:
    with Receiver([(500, {}, b"KeyError: 'messages'")]) as bot:
        result = run(product, tmp_path, ENDPOINT=bot.url)
    assert result.returncode != 0
    assert "not_200" in result.stdout
    attempt = stored(tmp_path, "hook")["attempts"][0]
    assert (attempt["answer"]["body"], attempt["side"]) == ("KeyError: 'messages'", "endpoint")

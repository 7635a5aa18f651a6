"""The examples of docs/testing-your-bot.md, as they stand there, against the real product."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.product import Product
from tests.rest import Rest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "testing-your-bot.md"


def test_the_tests_of_the_tiny_bot_pass(product: Product) -> None:
    rest, instances = Rest(product), f"{product.url}/api/v1/instances/"
    before = rest.call("GET", instances)["results"]
    result = run(product)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 passed" in result.stdout
    left = {instance["id"] for instance in rest.call("GET", instances)["results"]}
    assert left == {instance["id"] for instance in before}


def test_they_fail_when_the_bot_is_wrong(product: Product, tmp_path: Path) -> None:
    bot = (DOCS / "examples" / "my_bot.py").read_text()
    (tmp_path / "my_bot.py").write_text(bot.replace("Hello to you!", "Go away!"))
    (tmp_path / "test_my_bot.py").write_text((DOCS / "examples" / "test_my_bot.py").read_text())
    result = run(product, tmp_path, "-k", "hello or online")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "2 failed" in result.stdout


def run(
    product: Product, folder: Path = DOCS / "examples", *words: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider",
         "-p", "no:randomly", *words, str(folder / "test_my_bot.py")],
        env={
            "PATH": os.environ["PATH"], "SITE": product.url, "KEY": product.demo["uid"],
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        text=True, capture_output=True, timeout=300, cwd=folder,
    )  # fmt: skip


def test_the_page_shows_the_examples_to_the_letter() -> None:
    page = PAGE.read_text()
    for name in ("my_bot.py", "test_my_bot.py"):
        assert (DOCS / "examples" / name).read_text() in page, name


def test_its_table_holds_every_address_of_the_sandbox() -> None:
    shown = re.findall(r"^\| `(sandbox/[^`]*)`", PAGE.read_text(), re.MULTILINE)
    known = re.findall(
        r"^  /api/v1/instances/{id}/(sandbox/[^:]*):$", (DOCS / "openapi.yaml").read_text(), re.M
    )
    assert set(known) == {*shown, "sandbox/contacts/"}

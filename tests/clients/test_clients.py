"""Typed clients in Python and TypeScript: generated from docs/openapi.yaml, type-checked, and used on the product."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hooks.models import Kind
from instances.api.hook_schemas import BODIES
from instances.pages.docs.openapi_document import DOCUMENT, parse
from tests.openapi import key_orders, pointer, validator
from tests.product import Product
from tests.receiver import Receiver
from tests.requirements import cannot_run
from tests.rest import Rest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PYTHON = ROOT / ".venv" / "clients" / "bin" / "python"
NODE_MODULES = ROOT / "node_modules"
FLAGS = {"ackNotificationsOn": True, "statusNotificationsOn": True, "chatUpdateOn": True}
FIELDS = {Kind.MESSAGE: "messages", Kind.ACK: "ack", Kind.STATUS: "instanceStatus", Kind.CHAT: "chatUpdate"}
# Generated files are not formatted: that only takes time. Images are bytes.
CONFIG = "post_hooks: []\ncontent_type_overrides: {image/png: application/octet-stream}\n"
# The generator's frame passes `*args: object` to httpx, which mypy refuses; the operations and models are checked.
MYPY = """
[mypy]
strict = True
disallow_any_generics = False
warn_return_any = False
[mypy-chat_api_client.client]
ignore_errors = True
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Returns what the command prints. Fails with its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=os.environ | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package chat_api_client, and story.py, which uses it."""
    if not PYTHON.with_name("openapi-python-client").exists():
        cannot_run("openapi-python-client is not installed: make test installs it.")
    folder = tmp_path_factory.mktemp("python")
    (folder / "config.yml").write_text(CONFIG)
    (folder / "mypy.ini").write_text(MYPY)
    shutil.copy(HERE / "story.py", folder)
    run(
        PYTHON.with_name("openapi-python-client"), "generate", "--path", DOCUMENT, "--config", "config.yml",
        "--meta", "none", "--output-path", "chat_api_client", "--fail-on-warning", cwd=folder,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def typescript_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with schema.d.ts, and story.js, which tsc has compiled and checked against it."""
    if not (NODE_MODULES / "openapi-typescript").exists():
        cannot_run("openapi-typescript is not installed: make test installs it.")
    folder = tmp_path_factory.mktemp("typescript")
    for name in ("story.ts", "tsconfig.json"):
        shutil.copy(HERE / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE_MODULES)
    # otherwise a field with a default is required in requests too
    optional = ("--default-non-nullable", "false")
    run(
        "node",
        NODE_MODULES / "openapi-typescript/bin/cli.js",
        DOCUMENT,
        "-o",
        "schema.d.ts",
        *optional,
        cwd=folder,
    )
    run("node", NODE_MODULES / "typescript/bin/tsc", "-p", ".", cwd=folder)
    return folder


@pytest.fixture
def rest(product: Product) -> Iterator[Rest]:
    rest = Rest(product)
    rest.quiet()
    yield rest
    rest.quiet()


def check_story(rest: Rest, printed: str, receiver: Receiver) -> None:
    """Compares what a story printed with what the product has delivered."""
    found = json.loads(printed)
    tested, hook = receiver.wait_for(2)
    assert found == {
        "channel": "sandbox",
        "tested": True,
        "delivered": True,
        "status": 200,
        "text": hook.json()["messages"][0]["body"],
        "from_me": False,
        "resendable": 2,  # with the test
        "counted": [True, 1],
        "healthy": [1, True],
        "unknown": [404, "Your account has no instance 1."],
        "removed": 204,
    }
    assert found["text"] == "hello"
    assert tested.headers["webhook-simulated"] == "1"


def test_the_python_client_is_typed(python_client: Path) -> None:
    run(
        sys.executable, "-m", "mypy", "--python-executable", PYTHON, "--cache-dir", os.devnull, "story.py",
        cwd=python_client,
    )  # fmt: skip


def test_the_python_client_uses_the_product(python_client: Path, rest: Rest, product: Product) -> None:
    with Receiver() as receiver:
        printed = run(
            PYTHON, "story.py", product.url, rest.demo["uid"], rest.instance["id"], receiver.url,
            cwd=python_client,
        )  # fmt: skip
        check_story(rest, printed, receiver)


def test_the_typescript_client_uses_the_product(
    typescript_client: Path, rest: Rest, product: Product
) -> None:
    with Receiver() as receiver:
        printed = run(
            "node", "story.js", product.url, rest.demo["uid"], rest.instance["id"], receiver.url,
            cwd=typescript_client,
        )  # fmt: skip
        check_story(rest, printed, receiver)


def test_the_bytes_that_arrive_follow_the_schemas(rest: Rest) -> None:
    """One hook of each kind at least, as a server has received it, and its headers."""
    document: Any = parse(DOCUMENT.read_bytes())
    with Receiver() as receiver:
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url, **FLAGS})
        rest.hello()
        rest.call("POST", f"{rest.home}sandbox/groups/", json={"name": "Friends", "by": "17680561234"})
        rest.call(
            "POST", f"{rest.api_url}sendMessage", params={"token": rest.instance["token"]},
            json={"chatId": "17680561234@c.us", "body": "hi"},
        )  # fmt: skip
        for substatus in ("phone", "normal"):
            rest.call("PATCH", f"{rest.home}sandbox/phone/", json={"substatus": substatus})
        arrived = {kind: [] for kind in Kind}  # type: dict[Kind, list[Any]]
        count = 0
        while not all(arrived.values()):
            count += 1
            hook = receiver.wait_for(count)[count - 1]
            [kind] = [kind for kind, name in FIELDS.items() if name in hook.json()]
            arrived[kind].append(hook)

    for kind, hooks in arrived.items():
        name = BODIES[kind].__name__
        operation = document["webhooks"][kind.value]["post"]
        checker = validator(document, pointer("components", "schemas", name))
        for hook in hooks:
            checker.validate(hook.json())
            assert key_orders(document, name, hook.json()) == []
            required = [each["name"] for each in operation["parameters"] if each["required"]]
            assert set(required) <= set(hook.headers)

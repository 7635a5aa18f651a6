"""Every action of every app has the same shape (CONTRIBUTING.md): checked in the source, not by running it.

An action is a function of an `actions` package or module that takes `acting_user` or opens a transaction.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

APPS = ("accounts", "chatapi", "hooks", "instances", "testing_tools")


def modules() -> list[Path]:
    """The modules of all `actions` packages, and the modules called actions.py."""
    found = [
        path.relative_to(settings.BASE_DIR)
        for app in APPS
        for path in (settings.BASE_DIR / app).rglob("*.py")
    ]
    return sorted(path for path in found if path.stem == "actions" or "actions" in path.parent.parts)


def functions(source: str) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))


def parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def is_action(function: ast.FunctionDef) -> bool:
    opened = [
        item.context_expr for node in ast.walk(function) if isinstance(node, ast.With) for item in node.items
    ]
    transactions = (*function.decorator_list, *opened)
    return "acting_user" in parameters(function) or any("atomic" in ast.unparse(one) for one in transactions)


def is_typed(kwargs: ast.arg) -> bool:
    return kwargs.annotation is not None and ast.unparse(kwargs.annotation).startswith("Unpack[")


def faults(source: str) -> list[str]:
    """Returns what is wrong with the functions of a module, each as "name: sentence"."""
    found = []
    for function in functions(source):
        arguments = function.args
        names = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
        if "acting_user" in parameters(function) and "acting_user" not in names:
            found.append(f"{function.name}: acting_user is not used")
        if arguments.kwarg and not is_typed(arguments.kwarg):
            found.append(f"{function.name}: untyped **kwargs")
        positional = [*arguments.posonlyargs, *arguments.args, *filter(None, [arguments.vararg])]
        if is_action(function) and len(positional) > 1:
            found.append(f"{function.name}: only the first parameter may be positional")
    return found


@pytest.mark.parametrize("path", modules(), ids=str)
def test_the_actions_of_a_module_have_the_shape_of_actions(path: Path) -> None:
    assert faults((settings.BASE_DIR / path).read_text()) == []


def test_the_actions_of_all_apps_are_found() -> None:
    found = {
        f"{path.parts[0]}.{function.name}"
        for path in modules()
        for function in functions((settings.BASE_DIR / path).read_text())
        if is_action(function)
    }
    assert {
        "accounts.rename_account",
        "hooks.rotate_secret",
        "hooks.simulate",
        "instances.change_settings",
        "instances.record_due_receipts",
        "testing_tools.create_run",
        "testing_tools.set_response",
    } <= found
    assert len(found) > 90


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def rename(row, *, acting_user):\n    row.save()", "rename: acting_user is not used"),
        ("def rename(row, name, *, acting_user):\n    record(acting_user)", "rename: only the first"),
        ("@transaction.atomic\ndef rename(row, name):\n    row.save()", "rename: only the first"),
        (
            "def rename(row, name):\n    with transaction.atomic():\n        row.save()",
            "rename: only the first",
        ),
        ("def rename(row, **fields: Any):\n    row.save()", "rename: untyped **kwargs"),
        ("def rename(row, *names, acting_user):\n    record(acting_user)", "rename: only the first"),
    ],
)
def test_another_shape_is_a_fault(source: str, fault: str) -> None:
    assert [found.startswith(fault) for found in faults(source)] == [True]

"""The lock files: the product's holds no tools for tests and pins the same versions as theirs; none names an index."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PRODUCT, TESTS = ROOT / "requirements.lock", ROOT / "requirements-tests.lock"
# Each of an environment of its own.
SYNAPSE, CLIENTS = ROOT / "requirements-synapse.lock", ROOT / "requirements-clients.lock"

# Imports every module of the product; the modules named in the arguments cannot be imported.
IMPORT_ALL = """
import importlib, os, pkgutil, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ImportError(f"{name} is in requirements-tests.lock only")

refused = set(sys.argv[1:])
sys.meta_path.insert(0, Refused())
os.environ["DJANGO_SETTINGS_MODULE"] = "chatapi.settings"
import django
django.setup()
for package in ("accounts", "chatapi", "hooks", "instances", "testing_tools"):
    for module in pkgutil.walk_packages([package], package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_the_product_needs_no_package_of_the_tests(tmp_path: Path) -> None:
    only_tests = set(pins(TESTS)) - set(pins(PRODUCT))
    refused = [
        module
        for module, distributions in packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", name).lower() for name in distributions} <= only_tests
    ]
    assert {"pytest", "flask", "hypothesis", "mypy"} <= set(refused)

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *refused],
        cwd=ROOT, env={"DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_packages_in_both_lock_files_have_the_same_version() -> None:
    product, tests = pins(PRODUCT), pins(TESTS)

    shared = product.keys() & tests.keys()
    assert shared
    assert {name: product[name] for name in shared} == {name: tests[name] for name in shared}


def test_lock_files_hold_every_package_with_hashes_and_name_no_index() -> None:
    for lock in (PRODUCT, TESTS, SYNAPSE, CLIENTS):
        for requirement in re.split(r"\n(?=\S)", lock.read_text().strip()):
            assert re.fullmatch(
                r"[a-z0-9._-]+==\S+( ; [^\\]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\\n)?)+", requirement
            ), requirement


def test_every_package_that_is_asked_for_is_pinned() -> None:
    for lock in (PRODUCT, TESTS, SYNAPSE, CLIENTS):
        wanted = re.findall(r"^[a-z0-9][a-z0-9-]*", lock.with_suffix(".in").read_text(), re.MULTILINE)
        assert wanted
        assert set(wanted) <= pins(lock).keys()

"""`make check`: runs every check and prints a line for each; the exit code is 1 if one failed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
CODE = ["accounts", "chatapi", "hooks", "instances", "testing_tools", "tests", "manage.py"]
BIOME = ROOT / "node_modules" / ".bin" / "biome"
NO_BIOME = (
    "biome is not installed. It needs Node.js with npm (Debian: apt-get install nodejs npm); then: make check"
)
SNAPSHOT = ROOT / "docs" / "openapi.yaml"


def checks(scratch: Path) -> list[tuple[str, list[str]]]:
    """Name and command of each check, the quick ones first. The API's OpenAPI document is written to `scratch`."""
    manage = [sys.executable, "manage.py"]
    templates = [str(path) for path in sorted((ROOT / "templates").rglob("*.html"))]
    biome = (
        [str(BIOME), "check", "--error-on-warnings"]
        if BIOME.exists()
        else ["sh", "-c", f"echo '{NO_BIOME}'; exit 1"]
    )
    return [
        ("style (ruff check)", [str(BIN / "ruff"), "check", "--quiet", *CODE]),
        ("form (ruff format)", [str(BIN / "ruff"), "format", "--check", "--quiet", *CODE]),
        ("templates (djade)", [str(BIN / "djade"), "--check", "--target-version", "5.2", *templates]),
        ("JS and CSS (biome)", biome),
        ("static/vendor as on npm", [sys.executable, "-m", "chatapi.quality.vendored"]),
        ("layers of imports (lint-imports)", [str(BIN / "lint-imports"), "--no-logo"]),
        ("layers of templates", [sys.executable, "-m", "chatapi.quality.layers"]),
        ("language, and width of templates", [sys.executable, "-m", "chatapi.quality.language"]),
        ("metrics in docs/ and deploy/", [sys.executable, "-m", "chatapi.quality.monitoring"]),
        ("settings (manage.py check)", [*manage, "check"]),
        ("migrations (makemigrations --check)", [*manage, "makemigrations", "--check", "--dry-run"]),
        ("migrations beside old code", [sys.executable, "-m", "chatapi.quality.rolling"]),
        (
            "API (spectacular --validate)",
            [*manage, "spectacular", "--validate", "--fail-on-warn", "--file", str(scratch)],
        ),
        ("API (openapi-spec-validator)", [str(BIN / "../clients/bin/openapi-spec-validator"), str(scratch)]),
        ("API as in docs/openapi.yaml", ["diff", "-u", str(SNAPSHOT), str(scratch)]),
        ("types (mypy)", [str(BIN / "mypy")]),
    ]


def main() -> int:
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "DATA_DIR": folder,
            "PYTHONWARNINGS": "ignore:Got an error checking:RuntimeWarning",
        }
        for name, command in checks(Path(folder) / "openapi.yaml"):
            done = subprocess.run(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            print(f"{'ok    ' if done.returncode == 0 else 'FAILED'}  {name}", flush=True)
            if done.returncode:
                failed.append(name)
                print(done.stdout.rstrip(), flush=True)
                if command[0] == "diff":
                    print(
                        "If the change is intended: manage.py spectacular --file docs/openapi.yaml",
                        flush=True,
                    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Two tasks with the same key of an advisory lock would exclude each other, and one of them would never run."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KEY = re.compile(r"^ *(?:[A-Z_]*LOCK =|Role\.[A-Z]+:) (0x[0-9A-F_]+)", re.MULTILINE)


def test_each_advisory_lock_has_a_key_of_its_own() -> None:
    keys = Counter(
        int(key, 16)
        for app in ("accounts", "chatapi", "hooks", "instances", "testing_tools")
        for path in (ROOT / app).rglob("*.py")
        for key in KEY.findall(path.read_text())
    )
    assert len(keys) >= 12
    assert [hex(key) for key, number in keys.items() if number > 1] == []

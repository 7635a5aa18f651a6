"""Relative times have the same words in Python, which renders a page, and in app.js, which keeps them current."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from chatapi.ui.templatetags import ui

APP_JS = Path(settings.BASE_DIR) / "static" / "js" / "app.js"
NOW = datetime(2026, 3, 29, 0, 59, 59, 500_000, tzinfo=UTC)  # an hour before summer time starts in Europe
DAY = 86_400
# Each limit of a unit, a millisecond to each side, in the past and in the future.
LIMITS = (
    0,
    1,
    5,
    10,
    59,
    60,
    61,
    119,
    120,
    3599,
    3600,
    7199,
    7200,
    DAY - 1,
    DAY,
    2 * DAY,
    90 * 60,
    36 * 3600,
    7 * DAY,
    31 * DAY,
    366 * DAY,
)
SECONDS = sorted({sign * limit + step / 1000 for limit in LIMITS for sign in (1, -1) for step in (-1, 0, 1)})


def words_of_app_js(moments: list[datetime], now: datetime) -> list[str]:
    """What the function `relative` of app.js returns for each moment, run by Node.js."""
    function = re.search(r"\n  function relative\(.*?\n  }\n", APP_JS.read_text(), re.DOTALL)
    assert function, "app.js has no function relative(then, now)"
    sent = [moment.isoformat(timespec="milliseconds") for moment in [now, *moments]]
    program = f"""{function[0]}
      const [now, ...moments] = {json.dumps(sent)}.map((text) => new Date(text));
      console.log(JSON.stringify(moments.map((then) => relative(then, now.getTime()))));"""
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_relative_time_has_the_same_words_in_python_and_in_app_js() -> None:
    moments = [NOW - timedelta(seconds=seconds) for seconds in SECONDS]
    in_python = {seconds: ui.relative(moment, NOW) for seconds, moment in zip(SECONDS, moments, strict=True)}
    in_js = dict(zip(SECONDS, words_of_app_js(moments, NOW), strict=True))
    assert in_js == in_python
    assert {"just now", "5 s ago", "in 1 min", "1 h ago", "in 1 day", "366 days ago"} <= set(
        in_python.values()
    )


def test_a_time_ahead_is_rounded_so_that_seven_days_are_not_six() -> None:
    ahead = {
        "in 7 days": timedelta(days=7, seconds=-1),
        "in 30 min": timedelta(minutes=30, milliseconds=-1),
        "in 1 h": timedelta(hours=1, seconds=-1),
        "in 1 day": timedelta(days=1, seconds=-1),
        "in 1 min": timedelta(minutes=1, milliseconds=-1),
        "in 2 h": timedelta(minutes=90),
    }
    assert {words: ui.relative(NOW + span, NOW) for words, span in ahead.items()} == {w: w for w in ahead}

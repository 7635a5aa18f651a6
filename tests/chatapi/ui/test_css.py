"""Colours are design tokens: static/css/tokens.css has all of them, staff-tokens.css those of the admin site."""

import re
from pathlib import Path

import pytest
from django.conf import settings

CSS = Path(settings.BASE_DIR) / "static" / "css"
TOKENS = ("tokens.css", "staff-tokens.css")
FILES = [path for path in sorted(CSS.glob("*.css")) if path.name not in TOKENS]
LITERAL = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|color)\(|"
    r"(?<![\w-])(?:white|black|red|green|blue|gr[ae]y|silver|orange|yellow|purple|navy|teal)(?![\w-])",
    re.IGNORECASE,
)
IN_MIX = re.compile(r"\bin (?:oklab|oklch|srgb)\b")


def declarations(css: str) -> list[tuple[str, str]]:
    """Property and value of each declaration, without comments and strings."""
    css = re.sub(r'/\*.*?\*/|"[^"]*"', "", css, flags=re.DOTALL)
    found = []
    for block in re.findall(r"\{([^{}]*)\}", css):
        for declaration in block.split(";"):
            name, colon, value = declaration.partition(":")
            if colon:
                found.append((name.strip(), " ".join(value.split())))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_color_is_written_outside_the_token_files(path: Path) -> None:
    written = [(n, v) for n, v in declarations(path.read_text()) if LITERAL.search(IN_MIX.sub("", v))]
    assert written == []


def test_the_pages_use_every_token_and_no_other() -> None:
    """Tokens for Tabler (--tblr-…) are used by Tabler; the admin site has the variables of Django's admin."""
    tokens = {name for name, _ in declarations((CSS / "tokens.css").read_text()) if name.startswith("--")}
    used, local = set(), set()
    for path in [CSS / "tokens.css", *FILES]:
        if path.name.startswith("staff"):
            continue
        text = path.read_text()
        used |= set(re.findall(r"var\((--[\w-]+)", text))
        local |= {name for name, _ in declarations(text) if name.startswith("--")}
    scripts = "".join(path.read_text() for path in sorted((CSS.parent / "js").glob("*.js")))
    used |= {name for name in tokens if name.startswith("--chart-") and "--chart-${" in scripts}
    unused = {name for name in tokens - used if not name.startswith("--tblr-")}
    assert unused == set()
    unknown = {name for name in used - tokens - local if not name.startswith("--tblr-")}
    assert unknown == set()

"""The style sheets: colours are design tokens, each file is loaded, and each class is used.

static/css/tokens.css has all colours; staff-tokens.css gives the variables of the admin site their values.
"""

import re
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
CSS = ROOT / "static" / "css"
FILES = [path for path in sorted(CSS.glob("*.css")) if path.name != "tokens.css"]
LITERAL = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|color)\(|"
    r"(?<![\w-])(?:white|black|red|green|blue|gr[ae]y|silver|orange|yellow|purple|navy|teal)(?![\w-])",
    re.IGNORECASE,
)
IN_MIX = re.compile(r"\bin (?:oklab|oklch|srgb)\b")
LINES_MOST = 500
# Classes that other packages write: pygments (t-…), uPlot (u-…, uplot), Swagger UI, htmx, Tabler, Django's admin.
FOREIGN = re.compile(
    r"(?:[tu]-.*|uplot|swagger-ui|wrapper|info|title|scheme-container|dark-mode|htmx-request|active|icon|"
    r"spinner-border|dropdown-item|nav-link|module|inline-group|button|submit-row|object-tools|readonly|filtered|"
    r"changelist-form-container|breadcrumbs|small|help)"
)


def read(folder: str, pattern: str) -> str:
    return "".join(path.read_text() for path in sorted((ROOT / folder).rglob(pattern)))


@cache
def used_words() -> tuple[frozenset[str], tuple[str, ...]]:
    """The words of templates, scripts and Python code, and the prefixes of built classes (`dot-{{ … }}`)."""
    templates = read("templates", "*.html")
    python = "".join(read(app, "*.py") for app in ("accounts", "chatapi", "instances", "testing_tools"))
    words = frozenset(re.findall(r"[\w-]+", templates + read("static/js", "*.js") + python))
    return words, tuple(set(re.findall(r"([\w-]+-)\{\{", templates)))


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
    scripts = read("static/js", "*.js")
    used |= {name for name in tokens if name.startswith("--chart-") and "--chart-${" in scripts}
    unused = {name for name in tokens - used if not name.startswith("--tblr-")}
    assert unused == set()
    unknown = {name for name in used - tokens - local if not name.startswith("--tblr-")}
    assert unknown == set()


def test_the_variables_of_the_admin_have_tokens_as_values() -> None:
    tokens = {name for name, _ in declarations((CSS / "tokens.css").read_text())}
    named = declarations((CSS / "staff-tokens.css").read_text())
    assert [name for name, value in named if not re.search(r"var\(--", value)] == []
    used = {name for _, value in named for name in re.findall(r"var\((--[\w-]+)", value)}
    assert used <= tokens
    written = re.findall(r"var\((--[\w-]+)", (CSS / "staff.css").read_text())
    assert set(written) <= {name for name, _ in named}


def test_every_style_sheet_is_loaded_by_a_template_and_no_other() -> None:
    templates = read("templates", "*.html")
    names = " ".join(re.findall(r'{% stylesheets "([^"]+)" %}', templates)).split()
    names += re.findall(r'{% static "css/([\w-]+)\.css" %}', templates)
    assert set(names) == {path.stem for path in CSS.glob("*.css")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_style_sheet_is_short_and_uses_no_class_that_no_page_has(path: Path) -> None:
    css = path.read_text()
    assert css.count("\n") <= LINES_MOST
    selectors = re.sub(r"/\*.*?\*/|\{[^{}]*\}", "", css, flags=re.DOTALL)
    classes = set(re.findall(r"\.([a-zA-Z][\w-]*)", selectors))
    words, prefixes = used_words()
    unused = {c for c in classes - words if not c.startswith(prefixes) and not FOREIGN.fullmatch(c)}
    assert unused == set()


def test_no_page_asks_with_window_confirm() -> None:
    """`data-confirm` asks in a dialog of ours (static/js/popups.js); htmx's hx-confirm calls window.confirm."""
    assert "hx-confirm" not in read("templates", "*.html")
    assert (
        re.findall(
            r"(?:window\.(?:confirm|alert|prompt)|\b(?:confirm|alert|prompt))\(", read("static/js", "*.js")
        )
        == []
    )

"""Checks the layers of templates: `python -m chatapi.quality.layers`.

A template loads tag libraries, includes or extends templates, and reverses URL names only of its own layer or of one
below. What a lower layer shows of an upper app is registered (chatapi/ui/menu.py, chatapi/ui/frame.py) or passed in.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = ROOT / "templates"

# Lowest first. `library` stands for Django, allauth and other packages: every layer may use them.
LAYERS = ("library", "chatapi.ui", "accounts", "instances", "testing_tools", "chatapi")
RANKS = {layer: rank for rank, layer in enumerate(LAYERS)}

# The first folder that matches; those of packages we override are the accounts' pages.
FOLDERS = (
    ("chatapi/ui/", "chatapi.ui"),
    ("chatapi/", "chatapi"),
    ("admin/", "chatapi"),
    ("drf_spectacular/", "chatapi"),
    ("accounts/", "accounts"),
    ("account/", "accounts"),
    ("allauth/", "accounts"),
    ("mfa/", "accounts"),
    ("usersessions/", "accounts"),
    ("instances/", "instances"),
    ("testing_tools/", "testing_tools"),
)

# Uses of an upper layer that remain, each with its reason: (template, what it uses).
ALLOWED: dict[tuple[str, str], str] = {}

LOAD = re.compile(r"{%\s*load\s+([^%]+?)\s*%}")
TEMPLATE = re.compile(r"""{%\s*(?:include|extends)\s+["']([^"'#]+)""")
URL = re.compile(r"""{%\s*(?:page_)?url\s+["']([^"']+)["']""")
COMMENT = re.compile(r"{%\s*comment\s*%}.*?{%\s*endcomment\s*%}", re.DOTALL)


def layer_of_template(name: str) -> str:
    """The layer of a template by its folder; error pages in the root belong to chatapi."""
    if not (TEMPLATES / name).exists():
        return "library"
    return next((layer for folder, layer in FOLDERS if name.startswith(folder)), "chatapi")


def layer_of_module(module: str) -> str:
    """The layer of a Python module. hooks has no templates and no URLs."""
    if module == "chatapi.ui" or module.startswith("chatapi.ui."):
        return "chatapi.ui"
    app = module.split(".")[0]
    return app if app in RANKS else "library"


def layers_of_libraries() -> dict[str, str]:
    """The layer of each template tag library, by its name."""
    from django.template import engines

    engine: Any = engines["django"]
    return {name: layer_of_module(module) for name, module in engine.engine.libraries.items()}


def layers_of_urls() -> dict[str, str]:
    """The layer of each URL name, by the app whose module defines it; the admin site is of chatapi."""
    from django.urls import URLPattern, get_resolver

    found: dict[str, str] = {}

    def collect(resolver: Any, prefix: str, layer: str) -> None:
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLPattern):
                if pattern.name:
                    view = getattr(pattern.callback, "view_class", pattern.callback)
                    by_view = layer_of_module(getattr(view, "__module__", "") or "")
                    found[prefix + pattern.name] = layer if by_view == "library" else by_view
                continue
            name = pattern.urlconf_name if isinstance(pattern.urlconf_name, str) else ""
            module = getattr(pattern.urlconf_name, "__name__", name)
            inner = layer_of_module(module) if module else layer
            namespace = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            collect(pattern, namespace, inner)

    collect(get_resolver(), "", "chatapi")
    return found


def uses(text: str) -> Iterator[tuple[str, str]]:
    """What a template uses, as ("load", "ui"), ("template", "chatapi/ui/code.html") or ("url", "log:list")."""
    text = COMMENT.sub("", text)
    for match in LOAD.finditer(text):
        words = match[1].split()
        for library in words[words.index("from") + 1 :] if "from" in words else words:
            yield "load", library
    for match in TEMPLATE.finditer(text):
        yield "template", match[1]
    for match in URL.finditer(text):
        yield "url", match[1]


def problems(
    templates: dict[str, str],
    libraries: dict[str, str],
    urls: dict[str, str],
    allowed: dict[tuple[str, str], str] = ALLOWED,
) -> list[str]:
    """One line for each use of an upper layer, and for each entry of `allowed` that is not needed."""
    found, unneeded = [], set(allowed)
    for name, text in sorted(templates.items()):
        own = layer_of_template(name)
        for kind, used in uses(text):
            if kind == "load":
                layer = libraries.get(used, "library")
            elif kind == "template":
                layer = layer_of_template(used)
            else:
                layer = "chatapi" if used.startswith("admin:") else urls.get(used, "library")
            if RANKS[layer] <= RANKS[own]:
                continue
            unneeded.discard((name, used))
            if (name, used) not in allowed:
                found.append(f"templates/{name} ({own}) uses {kind} {used} of {layer}, a layer above")
    found += [f"{name}: {used} is allowed, but not used" for name, used in sorted(unneeded)]
    return found


def our_templates() -> dict[str, str]:
    """Name and text of each of our templates."""
    return {
        str(path.relative_to(TEMPLATES)): path.read_text()
        for path in sorted(TEMPLATES.rglob("*"))
        if path.is_file()
    }


def main() -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
    django.setup()
    found = problems(our_templates(), layers_of_libraries(), layers_of_urls())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Links to pages of upper apps, which register them by name in AppConfig.ready: "simulation", "phone" …"""

from django.urls import reverse

_url_names: dict[str, str] = {}


def register(name: str, url_name: str) -> None:
    """Make the page `url_name`, which takes `?instance=`, known as `name`."""
    _url_names[name] = url_name


def tool_url(name: str, number: int | None = None) -> str:
    """The path of the tool's page for the instance with this number; "" if no app registered the tool."""
    if name not in _url_names:
        return ""
    return reverse(_url_names[name]) + (f"?instance={number}" if number is not None else "")

"""The app of the testing tools: registers their menu entries and their parts of the frame."""

from django.apps import AppConfig
from django.http import HttpRequest
from django.urls import ResolverMatch


def is_own_bin_page(request: HttpRequest, match: ResolverMatch) -> bool:
    """Returns whether the page shows the user's own bin, which belongs to no instance."""
    from testing_tools.verification.models import Bin

    if match.url_name == "bin-mine":
        return True
    key = match.kwargs.get("key")
    return bool(key) and Bin.objects.filter(key=key, account__owner=request.user.pk).exists()


class TestingToolsConfig(AppConfig):
    name = "testing_tools"
    verbose_name = "Testing tools"

    def ready(self) -> None:
        from accounts import quotas
        from chatapi.ui.frame import Place, register_part
        from chatapi.ui.menu import MenuEntry, register
        from instances import tool_links
        from instances.pages.frame import register_instance_pages
        from instances.pages.search.result_groups import register_source
        from testing_tools.verification import search
        from testing_tools.verification.actions.captures import CAPTURES

        quotas.register(CAPTURES)

        for order, title, name, icon, views in (
            (200, "Playground", "playground", "player-play", ("testing:playground",)),
            (210, "Webhook Simulation", "simulation", "flask", ("testing:simulation",)),
            (220, "Webhook Verification", "verification", "inbox", ("testing:verification", "testing:bin-")),
            (230, "Sending Messages", "sending", "send", ("testing:sending",)),
            (240, "Sandbox phone", "phone", "devices", ("testing:phone",)),
        ):
            register(
                MenuEntry(order, title, f"testing:{name}", icon, views, block="Testing", keeps_instance=True)
            )
        register(
            MenuEntry(
                250, "My bin", "testing:bin-mine", "link", ("testing:bin-",), "Testing",
                matches=is_own_bin_page,
            )
        )  # fmt: skip
        for tool in ("simulation", "verification", "sending", "phone"):
            tool_links.register(tool, f"testing:{tool}")
        register_instance_pages("testing")
        register_source(search.captures)
        register_source(search.bins)
        register_part(Place.BANNERS, 20, "testing_tools/verification/running.html")

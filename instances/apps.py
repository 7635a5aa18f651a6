"""The app of instances: it registers its part of the menu and of the frame."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    name = "instances"
    verbose_name = "Instances"

    def ready(self) -> None:
        from accounts import quotas
        from chatapi.ui import frame
        from chatapi.ui.frame import Place
        from chatapi.ui.menu import Audience, MenuEntry, register
        from instances.actions.lifecycle import INSTANCES
        from instances.actions.media import FILES
        from instances.pages.frame import is_read_only, menu_query
        from instances.pages.issues.views import count_open

        quotas.register(INSTANCES)
        quotas.register(FILES)

        register(
            MenuEntry(100, "Instances", "instances:list", "device-mobile", views=("instances:",)),
            MenuEntry(110, "Search", "search", "search", views=("search",), only_on_phones=True),
            MenuEntry(
                300, "Delivery log", "log:list", "list-details", views=("log:", "statistics:"), keeps_instance=True
            ),
            MenuEntry(
                310, "Issues", "issues:list", "alert-triangle", views=("issues:",), count=count_open, count_word="open"
            ),
            MenuEntry(
                400, "Wire contract", "docs:contract", "book", block="API", views=("docs:contract",),
                audience=Audience.EVERYONE, keeps_instance=True,
            ),
            MenuEntry(
                410, "REST", "docs:rest", "code", block="API", views=("docs:rest", "api-try"),
                audience=Audience.EVERYONE, keeps_instance=True,
            ),
            MenuEntry(
                420, "Receivers", "docs:receivers", "webhook", block="API", views=("docs:receiver",),
                audience=Audience.EVERYONE, keeps_instance=True,
            ),
        )  # fmt: skip
        frame.register_menu_query(menu_query)
        frame.register_read_only_rule(is_read_only)
        frame.register_part(Place.TOPBAR, 10, "instances/pages/frame/chooser.html")
        frame.register_part(Place.TOPBAR, 20, "instances/pages/search/palette.html")
        frame.register_part(Place.READ_ONLY, 10, "instances/pages/frame/viewer.html")
        frame.register_part(Place.ACCOUNT, 5, "instances/pages/alerts/entry.html")
        frame.register_part(Place.NOTES, 10, "instances/pages/frame/first_steps.html")

"""Django's admin with our site instead of the default one."""

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default = False  # named in INSTALLED_APPS
    default_site = "chatapi.staff.site.StaffSite"

"""All URLs of the site. Those of the wire contract come last, because they match any name at the root."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from accounts.views.sign_up import sign_up
from chatapi.account_data import deletion, export
from chatapi.api_docs import ApiDocs, schema
from chatapi.error_pages import bad_request, failed, favicon, not_allowed, not_found
from chatapi.listen_download import download
from chatapi.monitoring.health import front, healthz, readyz
from chatapi.monitoring.metrics import metrics
from chatapi.staff.site import hide_from_customers

admin.site.login = hide_from_customers(secure_admin_login(admin.site.login))  # type: ignore[method-assign]

handler400 = bad_request
handler403 = not_allowed
handler404 = not_found
handler500 = failed

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("healthz/front", front, name="front"),
    path("readyz", readyz, name="readyz"),
    path("favicon.ico", favicon, name="favicon"),
    path("listen.py", download, name="listen-program"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("accounts/signup/", sign_up, name="account_signup"),
    path("accounts/", include("allauth.urls")),
    path("account/", include("accounts.urls")),
    path("account/export/", export.export_account, name="account-export"),
    path("account/delete/", deletion.delete, name="account-delete"),
    path("api/schema/", schema, name="api-schema"),
    path("api/docs/try/", ApiDocs.as_view(url_name="api-schema"), name="api-try"),
    path("api/v1/", include("chatapi.rest_urls")),
    path("", include("instances.callbacks.urls")),
    path("", include("instances.pages.urls")),
    path("", include("testing_tools.urls")),
    path("", include("instances.contract.urls")),
]

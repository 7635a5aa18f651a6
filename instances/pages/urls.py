"""The site's root and the pages of instances; `<int:number>` is the instance number of the wire contract."""

from django.urls import include, path, re_path

from instances.pages.alerts import views as alert_views
from instances.pages.docs import views as docs_views
from instances.pages.endpoints import endpoint_views
from instances.pages.endpoints import list_views as endpoint_list_views
from instances.pages.endpoints import views as endpoints_views
from instances.pages.history import views as history_views
from instances.pages.instance_list import views as instance_list_views
from instances.pages.issues import views as issue_views
from instances.pages.log import (
    comparison,
    export_views,
    fix_views,
    hook_views,
    list_views,
    share_views,
    summary_views,
)
from instances.pages.messages import views as messages_views
from instances.pages.overview import button_views
from instances.pages.overview import views as overview_views
from instances.pages.public.invitations import invitation
from instances.pages.public.media_files import media
from instances.pages.queue import views as queue_views
from instances.pages.received import views as received_views
from instances.pages.redelivery import views as redelivery_views
from instances.pages.search.views import search
from instances.pages.settings import views as settings_views
from instances.pages.setup import account_views
from instances.pages.setup import views as setup_views
from instances.pages.statistics import views as statistics_views

instances = [
    path("", instance_list_views.instance_list, name="list"),
    path("new/", setup_views.new, name="new"),
    path("<int:number>/setup/", setup_views.setup, name="setup"),
    path("<int:number>/", overview_views.detail, name="detail"),
    path("<int:number>/status/", overview_views.status, name="status"),
    path("<int:number>/link/", button_views.link, name="link"),
    path("<int:number>/channel/", button_views.move, name="channel"),
    path("<int:number>/account/", account_views.save, name="account"),
    path("<int:number>/account/check/<slug:field>/", account_views.check, name="account-check"),
    path("<int:number>/account/remove/", account_views.remove, name="account-remove"),
    path("<int:number>/pair/", button_views.pair, name="pair"),
    path("<int:number>/press/<slug:button>/", button_views.press, name="press"),
    path("<int:number>/history/", history_views.history, name="history"),
    path("<int:number>/history/news/", history_views.news, name="history-news"),
    path("<int:number>/settings/", settings_views.settings, name="settings"),
    path("<int:number>/name/", button_views.rename, name="rename"),
    path("<int:number>/messages/", messages_views.messages, name="messages"),
    path("<int:number>/messages/list/", messages_views.chat_list, name="chat-list"),
    # ids of messengers may have slashes; a chat id ends with neither of these words
    path("<int:number>/messages/<path:chat_id>/news/", messages_views.news, name="chat-news"),
    path("<int:number>/messages/<path:chat_id>/reply/", messages_views.reply, name="chat-reply"),
    path("<int:number>/messages/<path:chat_id>/read/", messages_views.read, name="chat-read"),
    path("<int:number>/messages/<path:chat_id>/", messages_views.messages, name="chat"),
    path("<int:number>/received/", received_views.received, name="received"),
    path("<int:number>/received/<path:message_id>/", received_views.turn, name="turn"),
    path("<int:number>/queue/", queue_views.queue, name="queue"),
    path("<int:number>/queue/clear/", queue_views.clear, name="queue-clear"),
    path("<int:number>/queue/<path:message_id>/cancel/", queue_views.cancel, name="message-cancel"),
    path("<int:number>/queue/<path:message_id>/resend/", queue_views.resend, name="message-resend"),
    path("<int:number>/queue/<path:message_id>/", queue_views.message, name="message"),
    path("<int:number>/address/", endpoints_views.save_address, name="address"),
    path("<int:number>/address/check/", endpoints_views.check_address, name="address-check"),
    path("<int:number>/address/test/", endpoints_views.try_address, name="address-test"),
    path("<int:number>/endpoints/", endpoint_list_views.endpoint_list, name="endpoints"),
    path("<int:number>/endpoints/<int:endpoint_id>/", endpoint_views.detail, name="endpoint"),
    path("<int:number>/endpoints/<int:endpoint_id>/save/", endpoint_views.save, name="endpoint-save"),
    path(
        "<int:number>/endpoints/<int:endpoint_id>/filters/",
        endpoint_views.save_filters,
        name="endpoint-filters",
    ),
    path(
        "<int:number>/endpoints/<int:endpoint_id>/filters/check/",
        endpoint_views.check_filters,
        name="endpoint-filters-check",
    ),
    path("<int:number>/endpoints/<int:endpoint_id>/test/", endpoint_views.test, name="endpoint-test"),
    path("<int:number>/endpoints/<int:endpoint_id>/pause/", endpoint_views.pause, name="endpoint-pause"),
    path("<int:number>/endpoints/<int:endpoint_id>/resume/", endpoint_views.resume, name="endpoint-resume"),
    path(
        "<int:number>/endpoints/<int:endpoint_id>/secret/",
        endpoint_views.rotate_secret,
        name="endpoint-secret",
    ),
    path(
        "<int:number>/endpoints/<int:endpoint_id>/secret/end/",
        endpoint_views.end_previous_secret,
        name="endpoint-secret-end",
    ),
    path("<int:number>/endpoints/<int:endpoint_id>/remove/", endpoint_views.remove, name="endpoint-remove"),
    path("<int:number>/token/", button_views.rotate_token, name="token"),
    path("<int:number>/secret/", button_views.rotate_secret, name="secret"),
    path("<int:number>/secret/end/", button_views.end_previous_secret, name="secret-end"),
    path("<int:number>/turn-on-acks/", button_views.turn_on_acks, name="turn-on-acks"),
    path("<int:number>/callbacks/retry/", button_views.retry_callbacks, name="retry-callbacks"),
    path("<int:number>/pause/", button_views.pause, name="pause"),
    path("<int:number>/resume/", button_views.resume, name="resume"),
    path("<int:number>/delete/", button_views.delete, name="delete"),
]
deliveries = [
    path("", list_views.log_list, name="list"),
    path("live/", list_views.log_live, name="live"),
    path("overview/", summary_views.overview, name="overview"),
    path("counts/", list_views.log_counts, name="counts"),
    path("export/", export_views.export, name="export"),
    path("redeliver/", redelivery_views.new, name="redeliver"),
    path("redeliver/chosen/", redelivery_views.create_from_selected, name="redeliver-chosen"),
    path("redeliveries/", redelivery_views.job_list, name="redeliveries"),
    path("redeliveries/<uuid:public_id>/", redelivery_views.job, name="redelivery"),
    path(
        "redeliveries/<uuid:public_id>/pause/",
        redelivery_views.act,
        {"action": "pause"},
        name="redelivery-pause",
    ),
    path(
        "redeliveries/<uuid:public_id>/resume/",
        redelivery_views.act,
        {"action": "resume"},
        name="redelivery-resume",
    ),
    path(
        "redeliveries/<uuid:public_id>/cancel/",
        redelivery_views.act,
        {"action": "cancel"},
        name="redelivery-cancel",
    ),
    path("<uuid:public_id>/", hook_views.hook, name="hook"),
    path("<uuid:public_id>/compare/", comparison.comparison, name="compare"),
    path("<uuid:public_id>/try-now/", hook_views.act, {"action": "try-now"}, name="try-now"),
    path("<uuid:public_id>/resend/", hook_views.act, {"action": "resend"}, name="resend"),
    path("<uuid:public_id>/skip/", hook_views.act, {"action": "skip"}, name="skip"),
    path("<uuid:public_id>/cancel/", hook_views.act, {"action": "cancel"}, name="cancel"),
    path("<uuid:public_id>/use-url/", fix_views.use_url, name="use-url"),
    path("<uuid:public_id>/turn-on/", fix_views.turn_on, name="turn-on"),
    path("<uuid:public_id>/share/", share_views.share, name="share"),
    path("<uuid:public_id>/share/<int:share>/revoke/", share_views.revoke, name="share-revoke"),
]
issues = [
    path("", issue_views.issue_list, name="list"),
    path("<uuid:public_id>/", issue_views.issue, name="issue"),
    path("<uuid:public_id>/acknowledge/", issue_views.acknowledge, name="acknowledge"),
    path("<uuid:public_id>/resend/", issue_views.resend, name="resend"),
]
statistics = [path("", statistics_views.overview, name="overview")]
# Beside those of accounts/urls.py.
alerts = [
    path("", alert_views.alerts, name="alerts"),
    path("remove/", alert_views.remove, name="remove"),
    path("rotate-secret/", alert_views.rotate_secret, name="rotate-secret"),
    path("end-secret/", alert_views.end_previous_secret, name="end-secret"),
    path("test/", alert_views.send_test, name="test"),
]
# Two path segments each, so no URL is that of a method of the wire contract.
handbook = [
    path("contract/", docs_views.contract, name="contract"),
    path("docs/", docs_views.rest, name="rest"),
    path("receivers/", docs_views.receiver, name="receivers"),
    path("receivers/<slug:key>/", docs_views.receiver, name="receiver"),
]
urlpatterns = [
    path("", setup_views.home, name="home"),
    path("search/", search, name="search"),
    path("instances/", include((instances, "instances"))),
    path("log/", include((deliveries, "log"))),
    path("issues/", include((issues, "issues"))),
    path("statistics/", include((statistics, "statistics"))),
    path("account/alerts/", include((alerts, "account-alerts"))),
    path("api/", include((handbook, "docs"))),
    path("invite/<slug:code>", invitation, name="invitation"),
    path("media/<str:key>/<str:name>", media, name="media"),
    re_path(r"^shared/hooks/(?P<token>[A-Za-z0-9_-]{43})/\Z", share_views.shared_hook, name="shared-hook"),
]

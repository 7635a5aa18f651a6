"""The URLs of the testing tools and of the bins."""

from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter

from instances.pages import chooser
from testing_tools.phone import contact_views, message_views, own_phone_views
from testing_tools.phone import views as phone_views
from testing_tools.playground import views as playground_views
from testing_tools.sending import views as sending_views
from testing_tools.simulation import run_views, send_views
from testing_tools.simulation import views as simulation_views
from testing_tools.verification.views import (
    bins,
    captures,
    changes,
    comparison,
    forwarding,
    receive,
    sharing,
    verification,
)
from testing_tools.verification.views import shared as shared_views


class BinKey:
    """The key of a bin. Other text, such as a NUL, never reaches the database."""

    regex = "[a-z0-9]{8}"

    def to_python(self, value: str) -> str:
        return value

    to_url = to_python


class CaptureId(BinKey):
    """The public id of a capture."""

    regex = "[A-Za-z0-9_-]{1,22}"


class ShareToken(BinKey):
    """The token of a link that shares a bin."""

    regex = "[A-Za-z0-9_-]{43}"


register_converter(BinKey, "bin_key")
register_converter(CaptureId, "capture_id")
register_converter(ShareToken, "share_token")

one_bin = [
    path("", bins.bin_page, name="bin-page"),
    path("news/", bins.news, name="bin-news"),
    path("export/", bins.export, name="bin-export"),
    path("response/", changes.response, name="bin-response"),
    path("delete/", changes.delete_all, name="bin-delete-all"),
    path("undo/", changes.undo, name="bin-undo"),
    path("forward/", forwarding.forward, name="bin-forward"),
    path("share/", sharing.share, name="bin-share"),
    path("share/<int:share>/revoke/", sharing.revoke, name="bin-revoke"),
]
one_capture = [
    path("", captures.detail, name="bin-capture"),
    path("body/", captures.body, name="bin-body"),
    path("parts/<int:index>/", captures.part, name="bin-part"),
    path("note/", changes.note, name="bin-note"),
    path("delete/", changes.delete, name="bin-delete"),
    path("replay/", forwarding.replay, name="bin-replay"),
    path("compare/", comparison.comparison, name="bin-compare"),
    path("signature/", captures.signature, name="bin-signature"),
]
shared = [
    path("", shared_views.bin, name="bin"),
    path("<capture_id:public_id>/", shared_views.capture, name="capture"),
    path("<capture_id:public_id>/body/", shared_views.body, name="body"),
    path("<capture_id:public_id>/parts/<int:index>/", shared_views.part, name="part"),
]
testing: list[URLPattern | URLResolver] = [
    path("chooser/", chooser.chooser, name="chooser"),
    path("simulation/", simulation_views.simulation, name="simulation"),
    path("simulation/choose/", simulation_views.choose, name="simulation-choose"),
    path("simulation/json/", simulation_views.update_json, name="simulation-json"),
    path("simulation/fields/", simulation_views.update_form, name="simulation-fields"),
    path("simulation/url/", simulation_views.destination_url, name="simulation-url"),
    path("simulation/send/", send_views.send, name="simulation-send"),
    path("simulation/again/<uuid:public_id>/", send_views.again, name="simulation-again"),
    path("simulation/runs/<uuid:public_id>/", run_views.step, name="simulation-run"),
    path("simulation/runs/<uuid:public_id>/cancel/", run_views.cancel, name="simulation-run-cancel"),
    path("verification/", verification.verification, name="verification"),
    path("verification/start/", verification.start, name="verification-start"),
    path("verification/stop/", verification.stop, name="verification-stop"),
    path("verification/message/", verification.sandbox_message, name="verification-message"),
    path("verification/checklist/", verification.checklist, name="verification-checklist"),
    path("bins/mine/", bins.mine, name="bin-mine"),
    path("bins/<bin_key:key>/", include(one_bin)),
    path("bins/<bin_key:key>/<capture_id:public_id>/", include(one_capture)),
    path("sending/", sending_views.sending, name="sending"),
    path("sending/sent/", sending_views.sent, name="sending-sent"),
    path("sending/send/", sending_views.send, name="sending-send"),
    path("sending/clear/", sending_views.clear, name="sending-clear"),
    path("playground/", playground_views.playground, name="playground"),
    path("playground/news/", playground_views.news, name="playground-news"),
    path("phone/", phone_views.phone, name="phone"),
    path("phone/news/", phone_views.news, name="phone-news"),
    path("phone/own/", own_phone_views.change, name="phone-own"),
    path("phone/own/write/", message_views.write_on_own_phone, name="phone-type"),
    path("phone/own/read/", message_views.read_on_own_phone, name="phone-read-here"),
    path("phone/reset/", own_phone_views.reset, name="phone-reset"),
    path("phone/contact/", contact_views.change, name="phone-contact"),
    path("phone/contact/write/", message_views.write_on_contact_phone, name="phone-write"),
    path("phone/contact/read/", message_views.read_on_contact_phone, name="phone-read-there"),
    path("phone/contacts/", contact_views.add, name="phone-contacts"),
    path("phone/groups/", contact_views.create_group, name="phone-group"),
]
urlpatterns = [
    path("testing/", include((testing, "testing"))),
    path("shared/<share_token:token>/", include((shared, "shared"))),
    # not `.*$`: a path can contain a line break (%0A)
    re_path(r"^bin/(?P<key>[a-z0-9]{8})(?P<suffix>/[\s\S]*)?\Z", receive.capture, name="bin"),
]

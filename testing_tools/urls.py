"""The testing tools, the delivery log, and the bins."""

from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter

from testing_tools.views import (
    bin_address,
    bin_changes,
    bin_sending,
    bins,
    chooser,
    docs,
    log,
    log_overview,
    phone,
    phone_touches,
    redelivery,
    sending,
    shared_bins,
    simulation,
    simulation_runs,
    verification,
)


class BinKey:
    """The converter of a bin's key: what can be none, such as a NUL, never gets to the database."""

    regex = "[a-z0-9]{8}"

    def to_python(self, value: str) -> str:
        return value

    to_url = to_python


class CaptureId(BinKey):
    """The same for a capture's public id."""

    regex = "[A-Za-z0-9_-]{1,22}"


class ShareToken(BinKey):
    """The same for the token of a link by which a bin is shared."""

    regex = "[A-Za-z0-9_-]{43}"


register_converter(BinKey, "bin_key")
register_converter(CaptureId, "capture_id")
register_converter(ShareToken, "share_token")

one_bin = [
    path("", bins.bin_page, name="verification-bin"),
    path("news/", bins.news, name="verification-news"),
    path("export/", bins.export, name="verification-export"),
    path("answer/", bin_changes.answer, name="verification-answer"),
    path("delete/", bin_changes.delete_all, name="verification-delete-all"),
    path("undo/", bin_changes.undo, name="verification-undo"),
    path("forward/", bin_sending.forward, name="verification-forward"),
    path("share/", bin_sending.share, name="verification-share"),
    path("share/<int:share>/revoke/", bin_sending.revoke, name="verification-revoke"),
]
one_capture = [
    path("", bins.detail, name="verification-capture"),
    path("body/", bins.body, name="verification-body"),
    path("parts/<int:index>/", bins.part, name="verification-part"),
    path("note/", bin_changes.note, name="verification-note"),
    path("delete/", bin_changes.delete, name="verification-delete"),
    path("replay/", bin_sending.replay, name="verification-replay"),
    path("signature/", bin_sending.signature, name="verification-signature"),
]
shared = [
    path("", shared_bins.bin, name="bin"),
    path("<capture_id:public_id>/", shared_bins.capture, name="capture"),
    path("<capture_id:public_id>/body/", shared_bins.body, name="body"),
    path("<capture_id:public_id>/parts/<int:index>/", shared_bins.part, name="part"),
]
testing: list[URLPattern | URLResolver] = [
    path("chooser/", chooser.chooser, name="chooser"),
    path("simulation/", simulation.simulation, name="simulation"),
    path("simulation/choose/", simulation.choose, name="simulation-choose"),
    path("simulation/write/", simulation.write, name="simulation-write"),
    path("simulation/read/", simulation.read, name="simulation-read"),
    path("simulation/address/", simulation.address, name="simulation-address"),
    path("simulation/send/", simulation.send, name="simulation-send"),
    path("simulation/again/<uuid:public_id>/", simulation.again, name="simulation-again"),
    path("simulation/runs/<uuid:public_id>/", simulation_runs.step, name="simulation-run"),
    path("simulation/runs/<uuid:public_id>/cancel/", simulation_runs.cancel, name="simulation-run-cancel"),
    path("verification/", verification.verification, name="verification"),
    path("verification/start/", verification.start, name="verification-start"),
    path("verification/stop/", verification.stop, name="verification-stop"),
    path("verification/message/", verification.sandbox_message, name="verification-message"),
    path("verification/checklist/", verification.checklist, name="verification-checklist"),
    # names begin with "verification": the menu lights that entry (testing_tools/frame.py)
    path("bins/mine/", bins.mine, name="verification-mine"),
    path("bins/<bin_key:key>/", include(one_bin)),
    path("bins/<bin_key:key>/<capture_id:public_id>/", include(one_capture)),
    path("sending/", sending.sending, name="sending"),
    path("sending/sent/", sending.sent, name="sending-sent"),
    path("sending/send/", sending.send, name="sending-send"),
    path("sending/clear/", sending.clear, name="sending-clear"),
    path("phone/", phone.phone, name="phone"),
    path("phone/news/", phone.news, name="phone-news"),
    path("phone/own/", phone_touches.own, name="phone-own"),
    path("phone/own/write/", phone_touches.type_by_hand, name="phone-type"),
    path("phone/own/read/", phone_touches.read_here, name="phone-read-here"),
    path("phone/reset/", phone_touches.reset, name="phone-reset"),
    path("phone/contact/", phone_touches.contact, name="phone-contact"),
    path("phone/contact/write/", phone_touches.write, name="phone-write"),
    path("phone/contact/read/", phone_touches.read_there, name="phone-read-there"),
    path("phone/people/", phone_touches.person, name="phone-person"),
    path("phone/groups/", phone_touches.group, name="phone-group"),
]
deliveries = [
    path("", log.log_list, name="list"),
    path("live/", log.log_live, name="live"),
    path("overview/", log_overview.overview, name="overview"),
    path("export/", log_overview.export, name="export"),
    path("redeliver/", redelivery.new, name="redeliver"),
    path("redeliver/chosen/", redelivery.chosen, name="redeliver-chosen"),
    path("redeliveries/", redelivery.job_list, name="redeliveries"),
    path("redeliveries/<uuid:public_id>/", redelivery.job, name="redelivery"),
    path(
        "redeliveries/<uuid:public_id>/pause/", redelivery.act, {"action": "pause"}, name="redelivery-pause"
    ),
    path(
        "redeliveries/<uuid:public_id>/resume/",
        redelivery.act,
        {"action": "resume"},
        name="redelivery-resume",
    ),
    path(
        "redeliveries/<uuid:public_id>/cancel/",
        redelivery.act,
        {"action": "cancel"},
        name="redelivery-cancel",
    ),
    path("<uuid:public_id>/", log.hook, name="hook"),
    path("<uuid:public_id>/try-now/", log.act, {"action": "try-now"}, name="try-now"),
    path("<uuid:public_id>/resend/", log.act, {"action": "resend"}, name="resend"),
    path("<uuid:public_id>/skip/", log.act, {"action": "skip"}, name="skip"),
    path("<uuid:public_id>/cancel/", log.act, {"action": "cancel"}, name="cancel"),
]
# two parts each, so that neither is a method of the wire contract
handbook = [
    path("contract/", docs.contract, name="contract"),
    path("receivers/", docs.receiver, name="receivers"),
    path("receivers/<slug:key>/", docs.receiver, name="receiver"),
]
urlpatterns = [
    path("api/", include((handbook, "docs"))),
    path("testing/", include((testing, "testing"))),
    path("log/", include((deliveries, "log"))),
    path("shared/<share_token:token>/", include((shared, "shared"))),
    # not `.*$`: a path may hold a line break, as %0A
    re_path(r"^bin/(?P<key>[a-z0-9]{8})(?P<suffix>/[\s\S]*)?\Z", bin_address.capture, name="bin"),
]

"""The testing tools, the delivery log, and the bins."""

from django.urls import include, path, re_path, register_converter

from testing_tools.views import bins, log, redelivery, sending, simulation, verification


class BinKey:
    """The converter of a bin's key: what can be none, such as a NUL, never gets to the database."""

    regex = "[a-z0-9]{8}"

    def to_python(self, value: str) -> str:
        return value

    to_url = to_python


class CaptureId(BinKey):
    """The same for a capture's public id."""

    regex = "[A-Za-z0-9_-]{1,22}"


register_converter(BinKey, "bin_key")
register_converter(CaptureId, "capture_id")

testing = [
    path("simulation/", simulation.simulation, name="simulation"),
    path("simulation/choose/", simulation.choose, name="simulation-choose"),
    path("simulation/write/", simulation.write, name="simulation-write"),
    path("simulation/read/", simulation.read, name="simulation-read"),
    path("simulation/address/", simulation.address, name="simulation-address"),
    path("simulation/send/", simulation.send, name="simulation-send"),
    path("simulation/again/<uuid:public_id>/", simulation.again, name="simulation-again"),
    path("verification/", verification.verification, name="verification"),
    path("verification/start/", verification.start, name="verification-start"),
    path("verification/stop/", verification.stop, name="verification-stop"),
    path("verification/message/", verification.sandbox_message, name="verification-message"),
    path("verification/checklist/", verification.checklist, name="verification-checklist"),
    # names begin with "verification": the menu lights that entry (testing_tools/frame.py)
    path("bins/<bin_key:key>/", bins.bin_page, name="verification-bin"),
    path("bins/<bin_key:key>/news/", bins.news, name="verification-news"),
    path("bins/<bin_key:key>/<capture_id:public_id>/", bins.detail, name="verification-capture"),
    path("bins/<bin_key:key>/<capture_id:public_id>/body/", bins.body, name="verification-body"),
    path("sending/", sending.sending, name="sending"),
    path("sending/sent/", sending.sent, name="sending-sent"),
    path("sending/send/", sending.send, name="sending-send"),
]
deliveries = [
    path("", log.log_list, name="list"),
    path("live/", log.log_live, name="live"),
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
urlpatterns = [
    path("testing/", include((testing, "testing"))),
    path("log/", include((deliveries, "log"))),
    # not `.*$`: a path may hold a line break, as %0A
    re_path(r"^bin/(?P<key>[a-z0-9]{8})(?P<suffix>/[\s\S]*)?\Z", bins.capture, name="bin"),
]

"""/healthz: this process responds. /readyz: the checks of chatapi/runtime/doctor that a site needs to work, else 503.

With an almost full disk /readyz says "degraded", with 200.
"""

from django.http import HttpRequest, JsonResponse

from chatapi.runtime.doctor.checklist import LASTING, READINESS
from chatapi.runtime.doctor.database import DOES_NOT_RESPOND
from chatapi.runtime.doctor.findings import Level, NotCarriedOut
from chatapi.runtime.doctor.front import PROOF_HEADER, is_proven, seen
from chatapi.runtime.doctor.runs import DATABASE_ERRORS

# Migrations are not unapplied, nor keys changed, under a running process: these costly checks stop once passed.
passed: set[str] = set()


def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process serves requests; checks nothing else."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 {"status": "ready"}, or 503 {"status": "not ready", "reason": …} with the first thing that is missing.

    200 {"status": "degraded", "reason": …} if the disk is almost full. It is 200 because a load balancer would take a
    machine with 503 out of service, and pages, calls and hooks work.
    """
    level, reason = worst_problem()
    if level == Level.ERROR:
        return JsonResponse({"status": "not ready", "reason": reason}, status=503)
    if level == Level.WARNING:
        return JsonResponse({"status": "degraded", "reason": reason})
    return JsonResponse({"status": "ready"})


def front(request: HttpRequest) -> JsonResponse:
    """What arrived of this request, for `manage.py doctor`; 404 without its proof (chatapi/runtime/doctor/front.py)."""
    if not is_proven(request.headers.get(PROOF_HEADER, "")):
        return JsonResponse({"error": "Not found."}, status=404)
    return JsonResponse(seen(request.META, request.scheme or ""))


def worst_problem() -> tuple[Level, str]:
    """Returns the first error, or the first warning if there is no error."""
    warned = (Level.OK, "")
    for check in READINESS:
        if check.name in passed:
            continue
        try:
            found = [finding for finding in check.find() if finding.level >= Level.WARNING]
        except DATABASE_ERRORS:
            return Level.ERROR, DOES_NOT_RESPOND
        except NotCarriedOut:
            continue
        for finding in found:
            if finding.level == Level.ERROR:
                return finding.level, finding.problem
            warned = warned if warned[1] else (finding.level, finding.problem)
        if not found and check.name in LASTING:
            passed.add(check.name)
    return warned

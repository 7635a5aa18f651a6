"""What a capture says: the kind of its body, whether its signature is valid, and both in a sentence."""

from typing import NamedTuple

from chatapi.ui.header_fields import combined
from testing_tools.verification.models import Capture
from testing_tools.verification.reading.hook_signatures import SignatureCheck, check_signature
from testing_tools.verification.reading.recognition import Recognition, recognise
from testing_tools.verification.reading.sentences import Sentence, sentence_for


class ReadCapture(NamedTuple):
    """The kind and the items of the body, the check of the signature, and the sentence."""

    recognition: Recognition
    signature: SignatureCheck
    sentence: Sentence


def read_capture(capture: Capture) -> ReadCapture:
    """Reads a capture. Fetch its `bin` with the instance's endpoint, whose secrets check the signature."""
    instance, body = capture.bin.instance, bytes(capture.body)
    recognition = recognise(body)
    secret = " ".join(instance.endpoint.valid_secrets(capture.at)) if instance else ""
    signature = check_signature(body, combined(capture.headers), secret, capture.at)
    return ReadCapture(recognition, signature, sentence_for(capture, recognition, signature))

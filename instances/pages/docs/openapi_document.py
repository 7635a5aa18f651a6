"""docs/openapi.yaml, which describes the REST API and the wire contract, read into plain values."""

from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

DOCUMENT = Path(settings.FILES_DIR) / "docs" / "openapi.yaml"


def parse(text: bytes) -> Any:
    """Returns the values of a YAML document. That of the API takes 0.3 s, so keep what is made of it."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))

"""The wheel requires the versions of requirements.lock, with which the tests have run."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class LockedDependencies(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        lock = (Path(self.root) / "requirements.lock").read_text()
        metadata["dependencies"] = re.findall(r"^([a-z0-9][^ \\]*(?: ; [^\\]+)?) \\$", lock, re.MULTILINE)

"""The manual page goes into the wheel, if `make man` has written it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PAGE = "build/ccsr.1"


class ManualPage(BuildHookInterface[Any]):
    """Adds the page where man finds it below the environment that pip installs into."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Take the page along; a checkout without one installs too."""
        page = Path(self.root, PAGE)
        if page.is_file():
            build_data["shared_data"][str(page)] = "share/man/man1/ccsr.1"

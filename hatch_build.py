"""What the build adds to the wheel: the manual page, which is made of the help."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPage(BuildHookInterface[BuilderConfig]):
    """Writes the manual page where `pip install` puts it: share/man of the prefix."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Make the page and add it to the files of the wheel."""
        words = [sys.executable, "-m", "crawler", "help", "--man"]
        made = subprocess.run(words, cwd=self.root, stdout=subprocess.PIPE, check=True)  # noqa: S603
        self._folder = tempfile.TemporaryDirectory()
        page = Path(self._folder.name) / "lora-crawl.1"
        page.write_bytes(made.stdout)
        build_data["shared_data"][str(page)] = "share/man/man1/lora-crawl.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what `initialize` made."""
        self._folder.cleanup()

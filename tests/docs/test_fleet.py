"""The unit and the compose file of docs/fleet.md."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from crawler.cli.app import load

PAGE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_compose_file_starts_commands_that_are_there() -> None:
    compose = yaml.safe_load(block("yaml"))

    services = compose["services"]
    assert set(services) == {"db", "list", "worker"}
    for name in ("list", "worker"):
        command, *options = services[name]["command"]
        known = {one for param in load(command).params for one in param.opts}
        assert set(options) <= known
        assert services[name]["environment"]["LORA_CRAWL_DB"].startswith("postgresql://")
        assert services[name]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert set(compose["volumes"]) == {"loras"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = tmp_path / "lora-crawl-worker@.service"
    program = shutil.which("true") or "/bin/true"
    unit.write_text(block("ini").replace("/usr/local/bin/lora-crawl", program))

    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "Unknown" not in done.stderr, done.stderr


def test_the_unit_starts_a_worker() -> None:
    lines = dict(line.split("=", 1) for line in block("ini").splitlines() if "=" in line)

    assert lines["ExecStart"].split()[1:] == ["worker", "--quiet"]
    assert lines["RestartPreventExitStatus"] == "2 3"

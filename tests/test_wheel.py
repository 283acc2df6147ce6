"""The wheel works far from the checkout, migrations included."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*words: str, cwd: Path, **environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_wheel_unpacked_elsewhere_syncs(tmp_path: Path) -> None:
    wheels, elsewhere = tmp_path / "wheels", tmp_path / "elsewhere"
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels), cwd=ROOT)
    (wheel,) = wheels.glob("lora_crawl-*.whl")
    run("-m", "zipfile", "--extract", str(wheel), str(elsewhere), cwd=tmp_path)

    (page,) = elsewhere.glob("*.data/data/share/man/man1/lora-crawl.1")
    assert ".SS lora-crawl db check\n" in page.read_text(encoding="utf-8")
    if man := shutil.which("man"):
        shown = subprocess.run(
            [man, "-l", str(page)],
            env={**os.environ, "MANWIDTH": "80"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "lora-crawl sync --limit 50" in shown

    where = run(
        "-c", "import crawler; print(crawler.__file__)", cwd=tmp_path, PYTHONPATH=str(elsewhere)
    )
    assert Path(where.strip()).parent == elsewhere / "crawler"
    assert (elsewhere / "crawler" / "_version.py").exists()
    for name in ("templates/browse.html", "static/page.css", "static/page.js", "static/style.css"):
        assert (elsewhere / "crawler" / "web" / name).exists(), name

    database = str(tmp_path / "a.db")
    crawler = ("-m", "crawler")
    words = ("sync", "--sandbox", "--limit", "3", "--db", database)
    told = run(*crawler, *words, cwd=tmp_path, PYTHONPATH=str(elsewhere))
    assert told.startswith("3 models listed")
    counted = run(
        *crawler,
        *("sql", "select count(*) as n from models", "--db", database, "--format", "tsv"),
        cwd=tmp_path,
        PYTHONPATH=str(elsewhere),
    )
    assert counted == "n\n3\n"
    settings = ("db", "datasette", "--db", database)
    printed = run(*crawler, *settings, cwd=tmp_path, PYTHONPATH=str(elsewhere))
    assert "everything-by-one-creator:" in printed
    report = tmp_path / "report.html"
    written = ("report", str(report), "--db", database)
    run(*crawler, *written, cwd=tmp_path, PYTHONPATH=str(elsewhere))
    assert report.read_text(encoding="utf-8").endswith("</html>\n")


def test_the_manual_page_needs_only_what_the_build_installs() -> None:
    def modules(requirements: Iterable[str]) -> set[str]:
        return {re.split("[^a-z-]", each)[0].replace("-", "_") for each in requirements}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    installed = modules(hook["dependencies"])
    program = (
        "import sys, crawler.__main__ as m; sys.argv = ['lora-crawl', 'help', '--man']\n"
        "try: m.main()\n"
        "finally: print('\\nimported', *sys.modules)"
    )
    *_, imported = run("-c", program, cwd=ROOT).splitlines()

    needed = {name.partition(".")[0] for name in imported.split()}
    assert installed <= needed
    own = modules(project["project"]["dependencies"])
    assert needed & own <= installed | {"rich"}  # which Typer depends on

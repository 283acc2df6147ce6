"""`recipe`: printed, or written into a folder; from the database or from a file."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from crawler.answers.visible import visible
from tests.cli.headers import LANTERN, Run, write_lora
from tests.faces import backend

__all__ = ["backend"]

FILES = ["config.toml", "dataset.toml", "report.txt"]


@pytest.fixture
def lantern(tmp_path: Path) -> str:
    """A file on this machine."""
    return str(write_lora(tmp_path / "lantern.safetensors", LANTERN))


def test_of_a_stored_lora(run: Run, database: str) -> None:
    result = run("recipe", "6", "--db", database)
    assert result.exit_code == 0
    printed = tomllib.loads(result.stdout)
    assert printed["network_dim"] == 128
    assert printed["dataset_config"] == "dataset.toml"
    assert printed["datasets"][0]["subsets"][0]["image_dir"] == "REPLACE_ME/5_marble"
    assert "the metadata of Marble · v1" in result.stdout


def test_a_path_needs_no_database(run: Run, lantern: str, tmp_path: Path) -> None:
    result = run("recipe", lantern, "--db", str(tmp_path / "none.db"))
    assert (result.exit_code, result.stderr) == (0, "")
    parts = [line for line in result.stdout.splitlines() if line.startswith("# --- ")]
    assert parts == [f"# --- {name}" for name in FILES]
    assert tomllib.loads(result.stdout)["network_dim"] == 16
    assert "\n# not recoverable\n#   pretrained_model_name_or_path: " in result.stdout


def test_both_ways_give_the_same_recipe(run: Run, lantern: str, tmp_path: Path) -> None:
    by_file = run("recipe", lantern, "--db", str(tmp_path / "none.db")).stdout
    scanned = run("scan", lantern, "--db", str(tmp_path / "scanned.db"), "--json")
    assert scanned.exit_code == 0, scanned.stderr
    stored = run("recipe", "file:-1", "--db", str(tmp_path / "scanned.db"))
    assert stored.exit_code == 0, stored.stderr
    assert tomllib.loads(stored.stdout) == tomllib.loads(by_file)


def test_written_into_a_folder_that_is_made(run: Run, lantern: str, tmp_path: Path) -> None:
    folder = tmp_path / "recipes" / "lantern"
    result = run("recipe", lantern, "-o", str(folder))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "not recoverable" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == FILES
    config = (folder / "config.toml").read_text(encoding="utf-8")
    datasets = (folder / "dataset.toml").read_text(encoding="utf-8")
    printed = tomllib.loads(run("recipe", lantern).stdout)
    assert {**tomllib.loads(config), **tomllib.loads(datasets)} == printed
    report = (folder / "report.txt").read_text(encoding="utf-8")
    assert report.startswith("not recoverable\n")


def test_nothing_is_overwritten_unless_told_to(run: Run, lantern: str, tmp_path: Path) -> None:
    kept = tmp_path / "dataset.toml"
    kept.write_text("mine", encoding="utf-8")
    result = run("recipe", lantern, "-o", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "already has dataset.toml" in result.stderr
    assert kept.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "config.toml").exists()
    assert run("recipe", lantern, "-o", str(tmp_path), "--force").exit_code == 0
    assert "[[datasets]]" in kept.read_text(encoding="utf-8")


def test_a_folder_that_is_none(run: Run, lantern: str) -> None:
    for folder in (lantern, f"{lantern}/inside"):
        result = run("recipe", lantern, "-o", folder)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "cannot write to" in result.stderr


def test_force_alone_makes_no_sense(run: Run, lantern: str) -> None:
    assert run("recipe", lantern, "--force").exit_code == 2


def test_hostile_text_neither_steers_the_terminal_nor_leaves_its_string(
    run: Run, tmp_path: Path
) -> None:
    name = 'night\u202e"\n[[datasets]]\nx = 1 #\x1b[31m\x85\U000e0001'
    folders = {f"3_{name}": {"n_repeats": 3, "img_count": 2}}
    metadata = {
        **LANTERN,
        "ss_output_name": name,
        "ss_training_comment": name,
        "ss_sd_model_name": f"{name}.ckpt",
        "ss_dataset_dirs": json.dumps(folders),
        "ss_clip_skip": name,
    }
    path = str(write_lora(tmp_path / "hostile\u202e.safetensors", metadata))
    result = run("recipe", path)
    assert all(visible(line) == line for line in result.stdout.split("\n"))
    printed = tomllib.loads(result.stdout)
    assert printed["training_comment"] == name
    assert not set('"\n\x1b') & set(printed["output_name"])
    assert "x" not in printed
    (dataset,) = printed["datasets"]
    assert dataset["subsets"][0]["class_tokens"] == name
    run("recipe", path, "-o", str(tmp_path / "out"))
    for file in (tmp_path / "out").iterdir():
        text = file.read_text(encoding="utf-8")
        assert all(visible(line) == line for line in text.split("\n"))


def test_a_header_that_says_too_little(run: Run, tmp_path: Path) -> None:
    path = str(write_lora(tmp_path / "empty.safetensors", None))
    result = run("recipe", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "neither a network module nor a learning rate" in result.stderr


def test_a_header_that_was_never_read(run: Run, database: str) -> None:
    early = run("recipe", "7", "--db", database)
    assert (early.exit_code, early.stdout) == (2, "")
    assert "was not read: early_access: in early access until" in early.stderr
    assert "was not read: pending" in run("recipe", "8", "--db", database).stderr


def test_nothing_of_that_name(run: Run, database: str, tmp_path: Path) -> None:
    for ref in ("4711", "model:4711", str(tmp_path / "none.safetensors"), str(tmp_path)):
        result = run("recipe", ref, "--db", database)
        assert (result.exit_code, result.stdout) == (2, "")
    assert run("recipe", "1", "--db", str(tmp_path / "none.db")).exit_code == 3


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("sd-scripts", FILES),
        ("kohya_ss", ["dataset.toml", "kohya_ss.json", "report.txt"]),
        ("OneTrainer", ["concepts.json", "onetrainer.json", "report.txt"]),
        ("ai-toolkit", ["ai-toolkit.yaml", "report.txt"]),
    ],
)
def test_in_the_format_of_a_trainer(run: Run, tmp_path: Path, form: str, names: list[str]) -> None:
    lantern = str(write_lora(tmp_path / "lantern.safetensors", {**LANTERN, "ss_clip_skip": "2"}))
    result = run("recipe", lantern, "--format", form, "-o", str(tmp_path / "out"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert ("not carried over" in result.stderr) is (form in {"OneTrainer", "ai-toolkit"})
    printed = run("recipe", lantern, "-f", form).stdout
    for path in (tmp_path / "out").iterdir():
        assert f"# --- {path.name}\n" in printed
        if path.name != "report.txt":
            assert path.read_text(encoding="utf-8") in printed


def test_yaml_and_its_report_are_yaml_as_a_whole(run: Run, tmp_path: Path) -> None:
    lantern = str(write_lora(tmp_path / "lantern.safetensors", {**LANTERN, "ss_clip_skip": "2"}))
    printed = run("recipe", lantern, "--format", "ai-toolkit").stdout
    assert "\n# not carried over\n#   clip_skip: 2; ai-toolkit has no such setting\n" in printed
    assert yaml.safe_load(printed)["config"]["process"][0]["network"]["linear"] == 16


def test_a_base_model_that_the_trainer_does_not_train(run: Run, tmp_path: Path) -> None:
    metadata = {**LANTERN, "ss_base_model_version": "kandinsky5"}
    text = json.dumps({"__metadata__": metadata}).encode()
    path = tmp_path / "video.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    result = run("recipe", str(path), "--format", "kohya_ss")
    assert (result.exit_code, result.stderr) == (0, "the GUI does not train kandinsky5\n")


def test_a_format_that_is_none(run: Run, lantern: str) -> None:
    result = run("recipe", lantern, "--format", "toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'sd-scripts', 'kohya_ss', 'onetrainer', 'ai-toolkit'" in result.stderr

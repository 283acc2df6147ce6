"""`inspect` on files of this machine."""

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import Result

from crawler.answers.visible import visible
from crawler.http import Waits
from crawler.sources.disk import refused_by_library
from crawler.store.schema.fields import FIELDS
from tests.cli.headers import LANTERN, Run, header_bytes, write_lora

HEADER_COLUMNS = [field.name for field in FIELDS if field.group != "what it is"]

PARTS = ["datasets", "directories", "tags", "problems", "metadata"]


def data(result: Result) -> list[dict[str, object]]:
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_json_has_every_column_and_every_part(run: Run, tmp_path: Path) -> None:
    path = str(write_lora(tmp_path / "lantern.safetensors", LANTERN))
    result = run("inspect", path, "--json")
    (found,) = data(result)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert list(found) == ["input", "outcome", "reason", *HEADER_COLUMNS, *PARTS]
    assert found["input"] == path
    assert (found["outcome"], found["reason"]) == ("decoded", None)
    assert found["network_dim"] == 16
    assert found["tensor_rank"] == 8
    assert found["training_seconds"] == 900.5
    assert found["training_started_at"] == "2023-11-14T22:13:20Z"
    assert found["images_seen"] == 1200
    assert found["tags"] == {"6_lantern": {"lantern": 20, "night": 11, "\u202edark": 1}}
    assert found["metadata"] == dict(sorted(LANTERN.items()))
    problems = {problem["field"]: problem["code"] for problem in found["problems"]}  # type: ignore[attr-defined]
    assert problems == {"noise_offset": "not_a_number", "network_dim": "contradicted"}


def test_json_escapes_what_steers(run: Run, tmp_path: Path) -> None:
    result = run("inspect", "--json", str(write_lora(tmp_path / "a.safetensors", LANTERN)))
    assert all(visible(line) == line for line in result.stdout.splitlines())
    assert "\\u001b[31mred" in result.stdout


def test_a_page_for_a_person(run: Run, tmp_path: Path) -> None:
    result = run("inspect", str(write_lora(tmp_path / "lantern.safetensors", LANTERN)))
    page = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "600 steps of batch 2 over 20 images repeated 6 times at 512 by 768 px" in page
    assert "1,200 images seen in 15 minutes" in page
    assert "Learning rate 3e-4 for the image model" in page
    assert "network_dim 16" in page
    assert "! the metadata says rank 16, the tensors have rank 8" in page
    assert "512 × 768 90 ████" in page  # noqa: RUF001
    assert "lantern 20 ████" in page
    assert r"\u202edark 1" in page
    assert "Problems (1)" in page
    assert r"made_up_key a \x1b[31mred\x1b[0m value\nin two lines" in page
    assert all(visible(line) == line for line in result.stdout.splitlines())
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_what_is_not_there_is_not_shown(run: Run, tmp_path: Path) -> None:
    bare = {"format": "pt"}
    result = run("inspect", str(write_lora(tmp_path / "bare.safetensors", bare)))
    assert result.exit_code == 0
    assert "The header contains no training metadata." in result.stdout
    assert "tensor_rank" in result.stdout
    for absent in ("Network", "Problems", "Tags", "Folders", "None", "null"):
        assert absent not in result.stdout


def test_raw_is_the_metadata_sorted(run: Run, tmp_path: Path) -> None:
    metadata = {"b": "two\nlines", "a": "\x1b[0m"}
    path = str(write_lora(tmp_path / "x.safetensors", metadata))
    assert run("inspect", "--raw", path).stdout == "a: \\x1b[0m\nb: two\\nlines\n"
    (found,) = data(run("inspect", "--raw", "--json", path))
    assert found == {
        "input": path,
        "outcome": "no_metadata",
        "reason": found["reason"],
        "metadata": metadata,
    }


def test_raw_of_several_inputs_names_them(run: Run, tmp_path: Path) -> None:
    first = str(write_lora(tmp_path / "1.safetensors", {"a": "1"}))
    second = str(write_lora(tmp_path / "2.safetensors", None))
    result = run("inspect", "--raw", first, second)
    assert result.stdout == f"# {first}\na: 1\n\n# {second}\n"
    assert result.exit_code == 0


def test_one_input_is_counted_as_one(run: Run, tmp_path: Path) -> None:
    path = str(write_lora(tmp_path / "1.safetensors", LANTERN))
    assert run("inspect", "-v", path).stderr == "1 of 1 input is sound\n"
    assert run("inspect", "-v", path, path).stderr == "2 of 2 inputs are sound\n"


def test_an_unsound_input_fails_and_the_others_are_shown(run: Run, tmp_path: Path) -> None:
    good = write_lora(tmp_path / "good.safetensors", LANTERN)
    head, _ = header_bytes(LANTERN)
    (tmp_path / "cut.safetensors").write_bytes(head)
    (tmp_path / "page.safetensors").write_text("<!doctype html><title>Log in</title>")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "short.safetensors").write_bytes((200).to_bytes(8, "little") + b"{}")
    (tmp_path / "folder").mkdir()
    names = ("cut", "page", "empty", "short")
    paths = [str(tmp_path / f"{name}.safetensors") for name in names]
    paths += [str(tmp_path / "folder"), str(tmp_path / "missing"), "nul\0nul", str(good)]
    result = run("inspect", "--json", *paths)
    found = data(result)
    assert result.exit_code == 1
    assert [each["input"] for each in found] == paths
    assert [each["outcome"] for each in found] == [
        "bad_header",
        "not_safetensors",
        "bad_header",
        "bad_header",
        "failed",
        "failed",
        "failed",
        "decoded",
    ]
    assert all(each["reason"] for each in found[:-1])
    assert all(list(each) == list(found[-1]) for each in found)
    people = run("inspect", *paths)
    assert people.exit_code == 1
    assert "failed: it is a folder" in people.stdout
    assert "failed: no such file or directory" in people.stdout
    assert "600 steps" in people.stdout
    raw = run("inspect", "--raw", *paths)
    assert raw.exit_code == 1
    assert f"{paths[0]}: bad_header: " in raw.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_a_pipe_does_not_keep_us_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "crawler", "inspect", "--json", str(tmp_path / "pipe.safetensors")],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)[0]["reason"] == "it is not a regular file"


def test_a_huge_file_is_read_to_its_header_only(run: Run, tmp_path: Path) -> None:
    head, body = header_bytes(LANTERN)
    path = tmp_path / "huge.safetensors"
    path.write_bytes(head)
    os.truncate(path, len(head) + body + 2**40)
    (found,) = data(run("inspect", "--json", str(path)))
    assert found["outcome"] == "bad_header"
    assert "the last tensor ends at byte" in str(found["reason"])


def test_a_file_that_may_not_be_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lora(tmp_path / "closed.safetensors", LANTERN)
    ordinary = os.open

    def refusing(name: str | Path, *flags: int) -> int:
        # The modes of files do not stop root, as which tests may run.
        if Path(name) == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return ordinary(name, *flags)

    monkeypatch.setattr(os, "open", refusing)
    result = run("inspect", str(path))
    assert result.exit_code == 1
    assert "failed: permission denied" in result.stdout


def test_an_address_that_is_not_asked(run: Run) -> None:
    result = run("inspect", "--json", "http://example.org/lantern.safetensors")
    (found,) = data(result)
    assert result.exit_code == 1
    assert (found["outcome"], found["reason"]) == ("failed", "only https URLs are read")


def corpus() -> list[Path]:
    here = Path(__file__).parents[3]
    folder = Path(os.environ.get("LORA_CRAWL_CORPUS", here.parent / "shared" / "corpus"))
    return sorted((folder / "headers").glob("*.safetensors"))


@pytest.mark.skipif(not corpus(), reason="the corpus of real headers is not here")
def test_real_files(run: Run) -> None:
    paths = [str(path) for path in corpus()]
    found = data(run("inspect", "--json", *paths))
    assert [each["input"] for each in found] == paths
    pages = run("inspect", *paths)
    assert all(path in pages.stdout.replace("\n", "") for path in paths)
    assert all(visible(line) == line for line in pages.stdout.splitlines())


def test_a_sound_file_needs_no_numpy(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "lantern.safetensors", LANTERN)
    program = (
        "import sys; from crawler.__main__ import main; sys.argv = ['', 'inspect', *sys.argv[1:]]"
    )
    ends = "try: main()\nexcept SystemExit as end: sys.exit(end.code or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", f"{program}\n{ends}", str(path)], check=True)


def test_the_library_is_asked_about_what_we_refuse(run: Run, tmp_path: Path) -> None:
    path = write_lora(tmp_path / "lantern.safetensors", LANTERN)
    path.write_bytes(path.read_bytes() + b"\x00")

    (found,) = data(run("inspect", str(path), "--json"))

    assert found["outcome"] == "bad_header"
    assert str(found["reason"]).startswith("the last tensor ends at byte")
    assert "not fully covered" in str(found["reason"])
    assert found["network_dim"] is None


def test_what_the_library_refuses_it_says_in_words(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "lantern.safetensors", LANTERN)
    path.write_bytes(path.read_bytes() + b"\x00")

    assert "not fully covered" in str(refused_by_library(path))


def test_an_api_out_of_reach_is_told_in_one_line_and_not_as_a_missing_model(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.http.BRIEF_WAITS", Waits(shortest=0, longest=0))
    paths = ("model-versions/5", "models/5", "api/download/models/5?fileId=7")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        api = f"http://127.0.0.1:{taken.getsockname()[1]}"
        words = ("inspect", "--api-url", api)
        page = run(*words, f"{api}/{paths[0]}")
        found = data(run(*words, *(f"{api}/{path}" for path in paths), "--json"))

    assert page.exit_code == 1
    assert [one["outcome"] for one in found] == ["failed"] * 3
    for one in found:
        assert "Connection refused. Check the network" in str(one["reason"]), one["input"]
        assert "\n" not in str(one["reason"])
    assert "\\n" not in page.stdout

"""Folders looked through, and files hashed."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from crawler.model import LocalFile
from crawler.sources.disk import Folder, Unseen, hash_file, look_through, vanished


def make(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def seen(*roots: Path) -> list[Folder | LocalFile | Unseen]:
    return list(look_through(map(str, roots)))


def files(*roots: Path) -> list[str]:
    return [Path(one.path).name for one in seen(*roots) if isinstance(one, LocalFile)]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder whose real path is known."""
    folder = tmp_path.resolve() / "shelf"
    folder.mkdir()
    return folder


def test_every_folder_before_its_files_in_the_order_of_names(shelf: Path) -> None:
    for name in ("b.safetensors", "a/z.SFT", "a/inner/y.sft", "c/x.SafeTensors", "a.txt", "d/e.pt"):
        make(shelf / name, b"four")

    found = seen(shelf)

    told = [Path(one.path).relative_to(shelf).as_posix() for one in found]
    assert told == [
        ".",
        "b.safetensors",
        "a",
        "a/z.SFT",
        "a/inner",
        "a/inner/y.sft",
        "c",
        "c/x.SafeTensors",
        "d",
    ]
    assert found[1] == LocalFile(
        str(shelf / "b.safetensors"), 4, (shelf / "b.safetensors").stat().st_mtime_ns
    )


def test_what_begins_with_a_dot_is_passed_over_unless_it_is_named(shelf: Path) -> None:
    make(shelf / ".cache" / "a.safetensors")
    make(shelf / "._b.safetensors")

    assert files(shelf) == []
    assert files(shelf / ".cache", shelf / "._b.safetensors") == [
        "a.safetensors",
        "._b.safetensors",
    ]


def test_a_named_file_may_be_called_anything(shelf: Path) -> None:
    assert files(make(shelf / "weights.bin")) == ["weights.bin"]


def test_no_folder_is_listed_twice(shelf: Path) -> None:
    make(shelf / "inner" / "a.safetensors")
    (shelf / "inner" / "up").symlink_to(shelf, target_is_directory=True)
    (shelf / "other").symlink_to(shelf / "inner", target_is_directory=True)

    assert files(shelf, shelf / "inner", shelf / "other") == ["a.safetensors"]


def test_a_linked_folder_stands_under_its_real_path(shelf: Path, tmp_path: Path) -> None:
    real = make(tmp_path.resolve() / "disk" / "a.safetensors")
    (shelf / "link").symlink_to(real.parent, target_is_directory=True)

    by_link, directly = seen(shelf)[-1], seen(real)[-1]

    assert by_link == directly
    assert by_link.path == str(real)


def test_a_linked_file_keeps_the_name_of_the_link(shelf: Path, tmp_path: Path) -> None:
    blob = make(tmp_path / "blob", b"content")
    (shelf / "a.safetensors").symlink_to(blob)

    [_, found] = seen(shelf)

    assert isinstance(found, LocalFile)
    assert (found.path, found.size_bytes) == (str(shelf / "a.safetensors"), 7)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders there")
def test_what_is_in_the_way_is_told(shelf: Path) -> None:
    (shelf / "broken.safetensors").symlink_to("nowhere")
    (shelf / "circle.safetensors").symlink_to("circle.safetensors")
    os.mkfifo(shelf / "pipe.safetensors")

    told = {Path(one.path).name: one.reason for one in seen(shelf) if isinstance(one, Unseen)}

    assert told.keys() == {"broken.safetensors", "circle.safetensors", "pipe.safetensors"}
    assert told["broken.safetensors"] == "no such file or directory"
    assert told["pipe.safetensors"] == "it is not a regular file"


@pytest.mark.parametrize("path", ["gone", "gone/deeper/", "a\0b", ""])
def test_a_named_path_that_is_not_there_is_told(path: str) -> None:
    [found] = look_through([path])

    assert isinstance(found, Unseen)
    assert found.reason


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read it all")
def test_a_closed_folder_is_told_and_the_others_are_read(shelf: Path) -> None:
    make(shelf / "closed" / "a.safetensors")
    make(shelf / "open" / "b.safetensors")
    (shelf / "closed").chmod(0)
    try:
        found = seen(shelf)
    finally:
        (shelf / "closed").chmod(0o700)

    assert Unseen(str(shelf / "closed"), "permission denied") in found
    assert [Path(one.path).name for one in found if isinstance(one, LocalFile)] == ["b.safetensors"]


def test_a_name_that_is_no_text_can_be_stored_all_the_same(shelf: Path) -> None:
    name = os.fsencode(shelf) + b"/caf\xe9.safetensors"
    try:
        Path(os.fsdecode(name)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system wants UTF-8")

    [_, found] = seen(shelf)

    assert isinstance(found, LocalFile)
    assert os.fsencode(found.path) == name
    assert found.stored_path == f"{shelf}/caf\\udce9.safetensors"


def test_whether_something_vanished(shelf: Path) -> None:
    file = make(shelf / "a.safetensors")

    assert not vanished(str(file))
    assert vanished(str(shelf / "b.safetensors"))
    assert vanished(str(file / "below a file"))
    assert not vanished("a\0b")


def test_hashes_of_the_file_and_of_its_weights(shelf: Path) -> None:
    content = bytes(range(256)) * 8192 + b"rest"
    file = make(shelf / "a.safetensors", content)

    hashes = hash_file(file, header_bytes=100)

    assert hashes.sha256 == hashlib.sha256(content).hexdigest().upper()
    assert hashes.weights == hashlib.sha256(content[100:]).hexdigest().upper()
    assert hash_file(file, header_bytes=None).weights is None
    with pytest.raises(IsADirectoryError):
        hash_file(shelf, header_bytes=None)

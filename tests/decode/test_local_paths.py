import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.clean import base_name, is_local, model_name, without_folders
from crawler.decode.recipe import decode
from tests.decode.test_golden import header_of, told

ONETRAINER = Path(__file__).parent / "golden" / "onetrainer"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("C:/Users/mira/kelp.safetensors", "kelp.safetensors"),
        ("D:\\models\\kelp.ckpt", "kelp.ckpt"),
        ("\\\\nas\\share\\kelp", "kelp"),
        ("/home/mira/kelp/", "kelp"),
        ("~/kelp.safetensors", "kelp.safetensors"),
        ("./models/kelp.safetensors", "kelp.safetensors"),
        ("file:///home/mira/kelp", "kelp"),
        ("~mira/models/kelp.safetensors", "kelp.safetensors"),
        ("..\\models\\kelp.ckpt", "kelp.ckpt"),
    ],
)
def test_of_a_path_its_last_part_is_kept(path: str, name: str) -> None:
    assert is_local(path)
    assert base_name(path) == name
    assert model_name(path) == name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("harbour/kelp-base-1.0", "harbour/kelp-base-1.0"),
        ("kelp-base", "kelp-base"),
        ("models/kelp.safetensors", "kelp.safetensors"),
        ("a/b/c", "c"),
        ("models\\kelp.gguf", "kelp.gguf"),
        ("checkpoints/kelp.SFT", "kelp.SFT"),
        ("https://hub.example/harbour/kelp", "kelp"),
        ("https://site.example/api/download/77?token=not-to-be-seen#x", "77"),
        ("s3://bucket/models/kelp.safetensors", "kelp.safetensors"),
        ("", None),
        ("/", None),
        (None, None),
    ],
)
def test_a_hub_id_is_no_path(value: str | None, name: str | None) -> None:
    assert model_name(value) == name


@pytest.mark.parametrize("text", ["/", ",", "attn\\.to_k", "a/b", "512", "~", "k:v", ""])
def test_other_texts_are_no_paths(text: str) -> None:
    assert not is_local(text)


@given(st.text())
def test_a_last_part_has_no_folders(path: str) -> None:
    assert not set("/\\") & set(base_name(path))


@pytest.mark.parametrize(
    "path", ["/home/mira/kelp", "E:\\mira\\kelp", "https://mira.example/a/kelp"]
)
def test_a_column_of_a_name_has_no_folders(path: str) -> None:
    keys = ("base_model_version", "sd_model_name", "vae_name", "output_name")
    metadata = {f"ss_{key}": path for key in keys} | {"ss_network_module": "somebody.else"}
    metadata["ss_network_args"] = json.dumps({"preset": "/home/mira/kelp"})
    recipe = decode(header_of({"metadata": metadata})).recipe
    assert {getattr(recipe, key) for key in keys} == {"kelp"}
    assert recipe.network_args == {"preset": "kelp"}

    spec = {"modelspec.architecture": f"{path}/lora", "ss_sd_scripts_commit_hash": "ab" * 20}
    assert decode(header_of({"metadata": spec})).recipe.base_model_version == "kelp"
    model = {"mflux_version": "1.0", "model": path}
    assert decode(header_of({"metadata": model})).recipe.base_model_version == "kelp"


def test_settings_have_no_folders_either() -> None:
    metadata = {
        "modelspec.title": "/home/mira/out/kelp",
        "ss_dataset_config": "C:\\Users\\mira\\kelp.toml",
        "modelspec.implementation": "https://hub.example/harbour/kelp",
        "modelspec.description": "/home of the\n/kelp",
    }
    recipe = decode(header_of({"metadata": metadata})).recipe
    assert recipe.other_settings == {
        **metadata,
        "modelspec.title": "kelp",
        "ss_dataset_config": "kelp.toml",
    }


def test_a_name_of_an_output_may_have_a_slash() -> None:
    recipe = decode(header_of({"metadata": {"ss_output_name": "kelp/forest"}})).recipe
    assert recipe.output_name == "kelp/forest"


def test_paths_are_found_wherever_they_are() -> None:
    value = {"path": "mine/kelp", "a": [{"b": "/mine/kelp"}, 3, "x/y"], "c": "C:\\mine\\kelp"}
    assert without_folders(value, frozenset({"path"})) == {
        "path": "kelp",
        "a": [{"b": "kelp"}, 3, "x/y"],
        "c": "kelp",
    }


@pytest.mark.parametrize("name", sorted(path.name for path in ONETRAINER.glob("*.json")))
def test_nothing_private_reaches_a_column(name: str) -> None:
    pair = json.loads((ONETRAINER / name).read_text(encoding="utf-8"))
    columns = json.dumps(told(decode(header_of(pair))))
    assert "mira" not in columns  # whose folders they are
    assert "not to be seen" not in columns  # a key that should not have been saved

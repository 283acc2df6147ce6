"""Real files, where a folder of them is at hand."""

import lzma
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crawler.decode.tensors.facts import ListFacts, list_facts
from crawler.model import Tensor, Weights

HEADERS = (
    Path(os.environ.get("LORA_CRAWL_CORPUS") or Path(__file__).parents[4] / "shared" / "corpus")
    / "headers"
)

pytestmark = pytest.mark.skipif(
    not HEADERS.is_dir(), reason=f"no folder of real headers at {HEADERS}"
)


def _lora(
    architecture: str | None,
    rank: int,
    *,
    dtype: str,
    count: int,
    parameters: int,
    algo: str = "lora",
    encoder: bool = False,
    conv: bool = False,
) -> Weights:
    return Weights(
        tensor_rank=rank,
        tensor_rank_min=rank,
        tensor_rank_max=rank,
        tensor_algo=algo,
        tensor_dtype=dtype,
        tensor_count=count,
        parameter_count=parameters,
        architecture=architecture,
        trains_text_encoder=encoder,
        trains_conv=conv,
    )


#: Shape lists carry no dtype; they are read as F16, key lists as scalars.
EXPECTED = {
    "cloneofsimo_analog_svd_rank4.hdr": _lora(
        "sd1", 4, dtype="F16", count=384, parameters=1541376, encoder=True
    ),
    "diffusers_catundchat.hdr": _lora("sd1", 4, dtype="F32", count=256, parameters=797184),
    "diffusers_haseebae.hdr": _lora("sd1", 4, dtype="F32", count=256, parameters=797184),
    "diffusers_ivanby12.hdr": _lora("sd2", 4, dtype="F32", count=256, parameters=829952),
    "diffusers_srikanth_truncated.safetensors": _lora(
        "sdxl", 4, dtype="F32", count=1120, parameters=5806080
    ),
    "timohavdk_new.hdr": _lora("sd1", 4, dtype="F32", count=256, parameters=797184),
    "lycoris_smart_falcon_4_lokr.safetensors": _lora(
        "sd1", 4, dtype="F16", count=1750, parameters=201726, algo="lokr", encoder=True, conv=True
    ),
    "lycoris_smart_falcon_16_lokr.hdr": _lora(
        "sd1", 16, dtype="F16", count=1750, parameters=805854, algo="lokr", encoder=True, conv=True
    ),
    "invokeai_flux_lora_kohya_format.shapes.json": _lora(
        "flux1", 16, dtype="F16", count=912, parameters=76579120
    ),
    "invokeai_flux_lora_aitoolkit_format.shapes.json": _lora(
        "flux1", 16, dtype="F16", count=456, parameters=56033280
    ),
    "invokeai_flux_lora_diffusers_format.shapes.json": _lora(
        "flux1", 32, dtype="F16", count=988, parameters=171835392
    ),
    "invokeai_flux_dora_onetrainer_format.shapes.json": _lora(
        "flux1", 4, dtype="F16", count=2024, parameters=16211450, algo="dora", encoder=True
    ),
    "leighwoods_lora.safetensors": _lora("flux1", 16, dtype="F16", count=8, parameters=1179648),
    "invokeai_anima_lora_kohya_format.shapes.json": _lora(
        "anima", 8, dtype="F16", count=33, parameters=458763
    ),
    "invokeai_krea2_lora_kohya_format.shapes.json": _lora(
        "krea2", 32, dtype="F16", count=120, parameters=14168520
    ),
    # The CLIP of SD1 alone, which SDXL and Flux have as well.
    "peft_sd15_text_encoder_adapter.hdr": _lora(
        None, 8, dtype="F32", count=48, parameters=294912, encoder=True
    ),
    # Names without shapes: alphas of SD1; then several files of SD1 and SDXL in one list.
    "inspector_boo_sd15_alpha.keys.json": Weights(
        tensor_dtype="F16",
        tensor_count=264,
        parameter_count=264,
        trains_text_encoder=True,
        trains_conv=False,
    ),
    "inspector_sdxl_lokr.keys.json": Weights(
        tensor_algo="lokr",
        tensor_dtype="F16",
        tensor_count=7973,
        parameter_count=7973,
        trains_text_encoder=True,
        trains_conv=True,
    ),
    # No image model's adapters.
    "loravit_lora.safetensors": Weights(tensor_dtype="F32", tensor_count=24, parameter_count=73728),
    "peft_glue_adapter.safetensors": Weights(
        tensor_dtype="F32", tensor_count=1, parameter_count=23040
    ),
}


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    """The tensors of a whole or cut file, of a list of shapes, or of a list of names."""
    data = path.read_bytes()
    if path.name.endswith(".keys.json"):
        return {name: {"shape": []} for name in msgspec.json.decode(data, type=list[str])}
    if path.suffix != ".json":
        data = data[8 : 8 + int.from_bytes(data[:8], "little")]
    entries = msgspec.json.decode(data, type=dict[str, dict[str, Any]])
    entries.pop("__metadata__", None)
    return entries


@pytest.mark.parametrize("name", EXPECTED)
def test_real_tensor_lists(name: str) -> None:
    path = HEADERS / name
    if not path.exists():
        pytest.skip(f"{name} is not in the folder")
    tensors = {
        key: Tensor(entry.get("dtype") or "F16", tuple(entry["shape"]), (0, 0))
        for key, entry in _entries(path).items()
    }
    assert list_facts(tensors, 0) == ListFacts(0, EXPECTED[name], ())


def test_every_list_in_the_folder_is_expected() -> None:
    lists = {
        path.name
        for pattern in ("*.shapes.json", "*.keys.json", "*.hdr")
        for path in HEADERS.glob(pattern)
    }
    assert lists <= EXPECTED.keys()


def test_layer_lists_of_the_classes_of_diffusers() -> None:
    path = HEADERS / "architectures.jsonl.xz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in the folder")
    listed, told, wrong = 0, 0, []
    for line in lzma.decompress(path.read_bytes()).splitlines():
        row = msgspec.json.decode(line)
        tensors = {
            name: Tensor(dtype, tuple(shape), (0, 0))
            for name, (dtype, shape) in row["tensors"].items()
        }
        found = list_facts(tensors, 0).weights.architecture
        listed += row["architecture"] is not None
        if found in (row["architecture"], row["also"]) and found is not None:
            told += row["architecture"] is not None
        elif found is not None:
            wrong.append((row["name"], found))
    assert wrong == []
    assert told >= 0.9 * listed

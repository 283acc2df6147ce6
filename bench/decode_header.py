# ruff: noqa: INP001 - a folder of scripts
"""Reading a header against orjson.loads on the same bytes, in one run on made-up headers.

python bench/decode_header.py [--tensors N] [--repeat N]
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from functools import partial

import orjson

from crawler.decode.header import parse_header

#: Stand-ins for the tag lists and bucket tables that trainers put into the metadata.
TAGS = {f"tag number {number}": number * 7 % 101 for number in range(1_500)}


def header(
    tensors: int, *, separators: tuple[str, str] = (",", ":"), last: bool = False, odd: bool = False
) -> bytes:
    """A LoRA of SDXL as sd-scripts stores it: up, down and alpha for each module.

    Args:
        tensors: How many of them.
        separators: Between elements and behind keys.
        last: Whether the metadata comes last.
        odd: Whether there is a field that the format does not know.
    """
    metadata = {"ss_network_dim": "32", "ss_tag_frequency": json.dumps({"10_thing": TAGS})}
    fields: dict[str, object] = {} if last else {"__metadata__": metadata}
    begin = 0
    for number in range(tensors):
        block, module = divmod(number // 3, 10)
        part = ("alpha", "lora_down.weight", "lora_up.weight")[number % 3]
        shape = ([], [32, 1280], [1280, 32])[number % 3]
        end = begin + 2 * math.prod(shape)
        name = f"lora_unet_input_blocks_{block}_1_transformer_blocks_{module}_attn1_to_k.{part}"
        fields[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
        begin = end
    if odd:
        fields["odd"] = {"dtype": "F16", "shape": [0], "data_offsets": [begin, begin], "x": None}
    if last:
        fields["__metadata__"] = metadata
    return json.dumps(fields, separators=separators).encode()


def milliseconds(work: Callable[[], object], repeat: int) -> float:
    """The best of some rounds: the others were disturbed."""
    best = float("inf")
    for _ in range(repeat):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tensors", type=int, default=1_750)
    parser.add_argument("--repeat", type=int, default=30)
    options = parser.parse_args()
    kinds = {
        "as the library writes it": header(options.tensors),
        "as Python writes it": header(options.tensors, separators=(", ", ": ")),
        "metadata last": header(options.tensors, last=True),
        "odd, read exactly": header(options.tensors, odd=True),
    }
    print(f"{'header':26} {'KB':>5} {'orjson ms':>10} {'parse_header ms':>16} {'ratio':>6}")
    for kind, text in kinds.items():
        data = len(text).to_bytes(8, "little") + text
        base = milliseconds(partial(orjson.loads, text), options.repeat)
        ours = milliseconds(partial(parse_header, data), options.repeat)
        print(f"{kind:26} {len(text) / 1000:5.0f} {base:10.2f} {ours:16.2f} {ours / base:6.2f}")


if __name__ == "__main__":
    main()

"""Decoding a header with its typed recipe, against orjson.loads of the same bytes.

python bench/decode.py [--corpus DIR] [--headers N] [--rounds N] [--profile HEADER]

Both are timed in turns in one process, each with the result thrown away again. Nothing that was learnt
of one header is kept for the next, so every reading is as the first. Best is the sum of the best times
of each header, median that of all ratios.
"""

import argparse
import cProfile
import json
import pstats
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from crawler.decode.verdict import verdict_of
from crawler.model.header import LENGTH_BYTES
from crawler.model.outcome import READ
from crawler.safetensors.reader import parse_header
from crawler.sandbox import headers
from crawler.sandbox.drawing import dice_for
from crawler.sandbox.headers import Algo, Base, Network, tensor_list
from crawler.sandbox.metadata import metadata
from crawler.sandbox.runs import Trainer, draw_run

#: So many times orjson.loads is what decoding may cost.
GOAL = 2.0

#: Unix seconds by which the made-up runs were saved.
SAVED_BY = 1_735_000_000.0

SPACED = "SDXL as Python spells it"

#: What is made up: name -> base, algorithm, text encoder.
KINDS = {
    "SD 1.5 with text encoder": (Base.SD1, Algo.LORA, True),
    "SDXL": (Base.SDXL, Algo.LORA, False),
    "SDXL with text encoders": (Base.SDXL, Algo.LORA, True),
    "SDXL LoCon": (Base.SDXL, Algo.LOCON, True),
    "SDXL DoRA": (Base.SDXL, Algo.DORA, True),
    "SDXL LoHa": (Base.SDXL, Algo.LOHA, False),
    "SDXL LoKr": (Base.SDXL, Algo.LOKR, False),
    "Flux": (Base.FLUX1, Algo.LORA, False),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a file, its whole header included, and the file's length when it is known."""

    prefix: bytes
    file_bytes: int | None


@dataclass(frozen=True, slots=True)
class Timed:
    """The best of all rounds, in seconds for a header, and the ratio of every single try."""

    base: float
    ours: float
    ratios: tuple[float, ...]


def made_up(base: Base, algo: Algo, *, encoder: bool, seed: int) -> Sample:
    """A header as sd-scripts stores it, all of it drawn from the seed."""
    dice = dice_for(seed)
    network = Network(
        base=base,
        algo=algo,
        dim=dice.choice((8, 16, 32, 64)),
        text_encoder=encoder,
        dtype="BF16" if base is Base.FLUX1 else "F16",
    )
    run = draw_run(dice, Trainer.KOHYA, network, f"thing{seed}", SAVED_BY)
    tensors = tensor_list(network)
    header = headers.sound(metadata(dice, run, f"thing{seed}-v1"), tensors)
    return Sample(header, len(header) + tensors.body_bytes)


def spaced(sample: Sample) -> Sample:
    """The same as Python's own writer spells it, which a few tools use."""
    text = json.dumps(orjson.loads(sample.prefix[LENGTH_BYTES:])).encode()
    assert sample.file_bytes is not None
    longer = LENGTH_BYTES + len(text) - len(sample.prefix)
    return Sample(len(text).to_bytes(LENGTH_BYTES, "little") + text, sample.file_bytes + longer)


def real(folder: Path) -> Iterator[tuple[str, Sample]]:
    """The files of a folder that are sound, whole or cut behind their headers."""
    for path in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.hdr")]):
        data = path.read_bytes()
        length = int.from_bytes(data[:LENGTH_BYTES], "little")
        sample = Sample(data[: LENGTH_BYTES + length], None)
        if verdict_of(sample.prefix, None).outcome in READ:
            yield path.name, sample


def cases(options: argparse.Namespace) -> dict[str, list[Sample]]:
    """What is to be measured, by its name on the page."""
    seeds = range(options.headers)
    found = {
        name: [made_up(base, algo, encoder=encoder, seed=seed) for seed in seeds]
        for name, (base, algo, encoder) in KINDS.items()
    }
    found[SPACED] = [spaced(one) for one in found["SDXL"]]
    if options.corpus:
        found |= {name: [sample] for name, sample in real(options.corpus)}
    return found


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def timed(samples: list[Sample], ours: Callable[[Sample], object], rounds: int) -> Timed:
    """All samples in turns; `base` and `ours` are sums over the samples of the best of each."""
    texts = [sample.prefix[LENGTH_BYTES:] for sample in samples]
    base = [float("inf")] * len(samples)
    best = [float("inf")] * len(samples)
    ratios = []
    for _ in range(rounds):
        for number, (text, sample) in enumerate(zip(texts, samples, strict=True)):
            loads = seconds(partial(orjson.loads, text))
            decode = seconds(partial(ours, sample))
            base[number] = min(base[number], loads)
            best[number] = min(best[number], decode)
            ratios.append(decode / loads)
    return Timed(sum(base) / len(samples), sum(best) / len(samples), tuple(ratios))


def whole(sample: Sample) -> object:
    """From bytes to the typed recipe."""
    return verdict_of(sample.prefix, sample.file_bytes)


def parsed(sample: Sample) -> object:
    """From bytes to the header alone."""
    return parse_header(sample.prefix, file_bytes=sample.file_bytes)


def profile(samples: list[Sample]) -> None:
    """Where the time goes, by function; cProfile makes small functions look dear."""
    profiler = cProfile.Profile()
    profiler.enable()
    for sample in samples * 20:
        whole(sample)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def report(name: str, samples: list[Sample], rounds: int) -> None:
    """One line, times in ms."""
    header = timed(samples, parsed, rounds)
    both = timed(samples, whole, rounds)
    ratio = both.ours / both.base
    size = sum(len(sample.prefix) for sample in samples) / len(samples) / 1000
    print(
        f"{name[:36]:36} {size:4.0f} {both.base * 1e3:7.3f} {header.ours * 1e3:7.3f} "
        f"{both.ours * 1e3:7.3f} {ratio:6.2f} {statistics.median(both.ratios):7.2f}"
        f"{'' if ratio <= GOAL else '  above the goal'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="a folder of real files or their beginnings")
    parser.add_argument("--headers", type=int, default=4, help="made-up headers of each kind")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--profile", metavar="HEADER", help="say where the time of one goes")
    options = parser.parse_args()
    found = cases(options)
    if options.profile:
        profile(found[options.profile])
        return
    print(f"{'header':36} {'KB':>4} {'orjson':>7} {'header':>7} {'all':>7}   best  median")
    for name, samples in found.items():
        report(name, samples, options.rounds)
    if options.corpus:
        known = set(KINDS) | {SPACED}
        whole_folder = [one for name in found.keys() - known for one in found[name]]
        report("all real ones, as a sum", whole_folder, options.rounds)


if __name__ == "__main__":
    main()

"""Measurements of decoding a header whose tensor list is new, and of reading local files."""

import json
import sys
import time
from statistics import median

from bench.catalogue import made_up, network, write_files
from bench.measure import Bench, Line, fresh
from crawler.decode.verdict import verdict_of
from crawler.model.header import LENGTH_BYTES
from crawler.sandbox.headers import tensor_list


def decode(bench: Bench) -> list[Line]:
    """CPU of decoding headers that share no tensor list, in a process of each round."""
    runs = [
        json.loads(bench.module("decoding", bench.sizes.decode).output)
        for _ in range(bench.sizes.rounds)
    ]
    mine, theirs = (median(seconds) * 1000 for seconds in zip(*runs, strict=True))
    return [
        Line(
            "decode of a header whose list is new, CPU",
            "`orjson.loads`",
            [ours / peer for ours, peer in runs],
            goal=6,
            detail=f"{mine:.2f} beside {theirs:.2f} ms",
        )
    ]


def scan(bench: Bench) -> list[Line]:
    """`scan` of a folder into a fresh database beside the metadata of the safetensors library."""
    folder, database = bench.folder / "scanned", bench.folder / "scanned.db"
    write_files(folder, bench.sizes.scan)
    line = bench.compared(
        f"`scan` of {bench.sizes.scan:,} local files",
        lambda: bench.crawler("scan", folder, "--db", fresh(database), "--quiet"),
        "`safe_open` and `metadata` of each",
        lambda: bench.module("peers", "safe_open", folder),
        goal=1.5,
    )
    return [line]


def cpu_of(count: int) -> tuple[float, float]:
    """Mean seconds of CPU of decoding, and of orjson.loads, for headers with distinct lists."""
    import orjson

    ours = peer = 0.0
    for number in range(count):
        of = network(number, dim=number + 1)
        header, size = made_up(number, of, tensor_list(of))
        text = header[LENGTH_BYTES:]
        begun = time.process_time()
        orjson.loads(text)
        between = time.process_time()
        verdict_of(header, size)
        ended = time.process_time()
        peer += between - begun
        ours += ended - between
    return ours / count, peer / count


if __name__ == "__main__":
    print(json.dumps(cpu_of(int(sys.argv[1]))))

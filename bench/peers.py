"""The programs that lora-crawl is compared with: `python -m bench.peers NAME ...`."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.catalogue import file_name, headers


def hub(url: str, count: str, threads: str) -> None:
    """Read the metadata of so many files with huggingface_hub."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=url, token=False)

    def read(number: int) -> None:
        api.parse_safetensors_file_metadata("made-up/files", file_name(number))

    if threads == "1":
        for number in range(int(count)):
            read(number)
    else:
        with ThreadPoolExecutor(int(threads)) as pool:
            list(pool.map(read, range(int(count))))


def loads(folder: str, count: str) -> None:
    """Print the seconds that orjson.loads takes for so many headers, those of the files in turn."""
    import orjson

    texts = list(headers(Path(folder)))
    begun = time.perf_counter()
    for number in range(int(count)):
        orjson.loads(texts[number % len(texts)])
    print(time.perf_counter() - begun)


def safe_open(folder: str) -> None:
    """Read the metadata of each file of a folder with the safetensors library."""
    import safetensors

    for path in sorted(Path(folder).iterdir()):
        with safetensors.safe_open(path, "numpy") as opened:
            opened.metadata()


if __name__ == "__main__":
    programs: dict[str, Callable[..., None]] = {"hub": hub, "loads": loads, "safe_open": safe_open}
    programs[sys.argv[1]](*sys.argv[2:])

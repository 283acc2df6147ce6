"""What the tensors of a file say by their names, shapes and dtypes alone.

Metadata can lie or be missing; this is what the weights themselves show, kept apart from it.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from math import prod
from typing import Final

from crawler.decode import clean
from crawler.decode.problems import OUT_OF_RANGE
from crawler.decode.tensors.algorithms import Layers, columns_of, count_forms, gather, layers_of
from crawler.decode.tensors.match import architecture
from crawler.model import Form, Header, Problem, Weights
from crawler.model.int64 import MAX_INT64

#: Sides of a shape up to which the product of huge numbers costs nothing; real tensors have five.
_MANY_SIDES: Final = 8

#: Algorithms in the order that decides when a file has as many layers of one as of another.
_ALGOS: Final = ("lora", "loha", "lokr", "oft", "boft", "ia3", "glora", "full")


def read_weights(header: Header) -> tuple[Weights, tuple[Problem, ...]]:
    """What the tensors say. Never raises, whatever their names and shapes are.

    - `tensor_rank` is the rank of most layers, of equally many the larger one.
    - `tensor_algo` is `dora` as soon as one layer has a magnitude of its own, else the algorithm
      of most layers, of equally many the first of lora, loha, lokr, oft, boft, ia3, glora, full;
      a `lora` that reaches into convolutions with a kernel is a `locon`.
    - `tensor_dtype` is the one that holds most numbers, of equally many the first by name.
    - The other facts are None where no tensor is named as an adapter's.

    Returns:
        The facts, and a Problem for each that is beyond 64 bits and therefore None.
    """
    problems: list[Problem] = []
    columns = columns_of(header.tensors)
    gathered = gather(columns)
    parameters, dtype = _numbers(columns.forms, count_forms(columns, gathered))
    layers = layers_of(gathered, columns.forms)
    rank, rank_min, rank_max = _ranks(layers)
    weights = Weights(
        tensor_rank=_storable("tensor_rank", rank, problems),
        tensor_rank_min=_storable("tensor_rank_min", rank_min, problems),
        tensor_rank_max=_storable("tensor_rank_max", rank_max, problems),
        tensor_algo=_algo(layers),
        tensor_dtype=dtype,
        tensor_count=len(header.tensors),
        parameter_count=_storable("parameter_count", parameters, problems),
        architecture=architecture(layers),
        trains_text_encoder=_any(bool(alike.encoders) for alike in layers),
        trains_conv=_any(alike.conv for alike in layers),
    )
    return weights, tuple(problems)


def _numbers(
    forms: Mapping[Hashable, Form], counts: Mapping[Hashable, int]
) -> tuple[int, str | None]:
    """How many numbers the file holds, and in which dtype most of them are."""
    by_dtype: dict[str, int] = {}
    for key, count in counts.items():
        dtype, shape = forms[key].dtype, forms[key].shape
        size = prod(shape) if len(shape) <= _MANY_SIDES else _long_product(shape)
        by_dtype[dtype] = by_dtype.get(dtype, 0) + count * size
    most = min(by_dtype, key=lambda dtype: (-by_dtype[dtype], dtype), default=None)
    return sum(by_dtype.values()), None if most is None else clean.text(most)


def _long_product(shape: tuple[int, ...]) -> int:
    """The product up to the point where it is out of range; the whole could take for ever."""
    size = 1
    for side in shape:
        size *= side
        if not -MAX_INT64 <= size <= MAX_INT64:
            break
    return size


def _ranks(layers: Iterable[Layers]) -> tuple[int | None, int | None, int | None]:
    """The most common rank, the smallest and the largest."""
    counts: Counter[int] = Counter()
    for alike in layers:
        if alike.rank is not None:
            counts[alike.rank] += alike.count
    if not counts:
        return None, None, None
    return max(counts, key=lambda rank: (counts[rank], rank)), min(counts), max(counts)


def _algo(layers: Iterable[Layers]) -> str | None:
    if any(alike.dora for alike in layers):
        return "dora"
    counts: Counter[str] = Counter()
    for alike in layers:
        if alike.algo is not None:
            counts[alike.algo] += alike.count
    if not counts:
        return None
    most = max(_ALGOS, key=lambda algo: counts[algo])
    if most == "lora" and any(alike.conv for alike in layers if alike.algo == "lora"):
        return "locon"
    return most


def _any(signs: Iterable[bool]) -> bool | None:
    """Whether any sign is true, None without signs."""
    found = list(signs)
    return any(found) if found else None


def _storable(field: str, number: int | None, problems: list[Problem]) -> int | None:
    if number is None or -MAX_INT64 <= number <= MAX_INT64:
        return number
    problems.append(Problem(OUT_OF_RANGE, field, "the number is larger than 64 bits can hold"))
    return None

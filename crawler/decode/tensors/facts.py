"""Facts about the weights, from the names, shapes and dtypes of the tensors alone.

Metadata can be wrong or missing. These facts are what the file contains, kept apart from the metadata.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

from crawler.decode import clean
from crawler.decode.problems import OUT_OF_RANGE
from crawler.decode.tensors.algorithms import Layers, layers_of
from crawler.decode.tensors.signatures import architecture
from crawler.model import Header, Problem, Tensor, Weights
from crawler.model.int64 import INT64

#: Dimensions up to which a product of huge sides costs nothing; real tensors have five.
_MANY_DIMENSIONS: Final = 8

#: Lists that are kept in mind: some 5 MB. Nearly all files of a catalogue have one of fewer lists.
MOST_LISTS: Final = 16_384

#: Algorithms in the order that decides between equal numbers of layers.
_ALGOS: Final = ("lora", "loha", "lokr", "oft", "boft", "ia3", "glora", "full", "tlora")


@dataclass(frozen=True, slots=True)
class ListFacts:
    """What a tensor list shows; the same for every file that has it.

    Attributes:
        body_bytes: Bytes that the tensors fill.
        problems: One for each fact that is beyond 64 bits and therefore None.
    """

    body_bytes: int
    weights: Weights
    problems: tuple[Problem, ...]


def list_facts(tensors: Mapping[str, Tensor], body_bytes: int) -> ListFacts:
    """The facts about the tensors of a header. Never raises, whatever their names and shapes are.

    - `tensor_rank` is the rank of most layers; in a tie, the largest.
    - `tensor_algo` is `dora` when any layer has a magnitude of its own, else the algorithm of most
      layers; in a tie, the first of _ALGOS. A `lora` with convolutions that have
      a kernel is a `locon`.
    - `tensor_dtype` is the dtype of most numbers; in a tie, the first by name.
    - Other facts are None when no tensor belongs to an adapter.
    """
    problems: list[Problem] = []
    layers = layers_of(tensors)
    parameters, dtype = _numbers(tensors)
    rank, rank_min, rank_max = _ranks(layers)
    weights = Weights(
        tensor_rank=_storable("tensor_rank", rank, problems),
        tensor_rank_min=_storable("tensor_rank_min", rank_min, problems),
        tensor_rank_max=_storable("tensor_rank_max", rank_max, problems),
        tensor_algo=_algo(layers),
        tensor_dtype=dtype,
        tensor_count=len(tensors),
        parameter_count=_storable("parameter_count", parameters, problems),
        architecture=architecture(layers),
        trains_text_encoder=any(alike.encoders for alike in layers) if layers else None,
        trains_conv=any(alike.conv for alike in layers) if layers else None,
    )
    return ListFacts(body_bytes, weights, tuple(problems))


class KnownLists:
    """The facts of the tensor lists that were read last, by digest."""

    def __init__(self, most: int = MOST_LISTS) -> None:
        self._most = most
        self._facts: OrderedDict[bytes, ListFacts] = OrderedDict()

    def body_bytes(self, digest: bytes) -> int | None:
        """The bytes that the tensors of a list fill; None when it is not known."""
        facts = self._facts.get(digest)
        return None if facts is None else facts.body_bytes

    def facts(self, header: Header) -> ListFacts:
        """The facts of a header, worked out unless its list is known."""
        found = header.tensor_list
        if found is None:
            return list_facts(header.tensors, header.body_bytes)
        facts = self._facts.get(found.digest) or list_facts(header.tensors, header.body_bytes)
        self._facts[found.digest] = facts
        self._facts.move_to_end(found.digest)
        if len(self._facts) > self._most:
            self._facts.popitem(last=False)
        return facts


def _numbers(tensors: Mapping[str, Tensor]) -> tuple[int, str | None]:
    """How many numbers the file holds, and the dtype of most of them."""
    by_dtype: Counter[str] = Counter()
    forms = Counter([(tensor.dtype, tensor.shape) for tensor in tensors.values()])
    for (dtype, shape), count in forms.items():
        by_dtype[dtype] += count * _product(shape)
    most = min(by_dtype, key=lambda dtype: (-by_dtype[dtype], dtype), default=None)
    return by_dtype.total(), None if most is None else clean.text(most)


def _product(shape: tuple[int, ...]) -> int:
    """The product of the sides. It stops as soon as it exceeds 64 bits."""
    if len(shape) <= _MANY_DIMENSIONS:
        return prod(shape)
    size = 1
    for side in shape:
        size *= side
        if size not in INT64:
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


def _storable(field: str, number: int | None, problems: list[Problem]) -> int | None:
    if number is None or number in INT64:
        return number
    problems.append(Problem(OUT_OF_RANGE, field, "the number is beyond 64 bits"))
    return None

"""A header's tensors brought together by the layers that their names speak of."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from crawler.decode.tensors.naming import TAILS, split_name
from crawler.model import Form, Tensor, TensorTable

#: What a layer is made of: the role of each tensor, and the key of its form.
Parts = tuple[tuple[str, Hashable], ...]


class Columns(NamedTuple):
    """The tensors of a header without their places; see `TensorTable`."""

    stems: Sequence[str]
    ends: Sequence[str]
    form_of: Sequence[Hashable]
    forms: Mapping[Any, Form]

    @property
    def in_step(self) -> bool:
        """Whether the stems are layers, and their ends tell a different role each."""
        roles = {TAILS.get(end, "") for end in self.ends}
        return "" not in roles and len(roles) == len(self.ends)


def columns_of(tensors: Mapping[str, Tensor]) -> Columns:
    """Any tensors in columns."""
    if isinstance(tensors, TensorTable):
        return Columns(tensors.stems, tensors.ends, tensors.form_of, tensors.forms)
    form_of = [Form(tensor.dtype, tensor.shape) for tensor in tensors.values()]
    return Columns(list(tensors), ("",), form_of, {form: form for form in form_of})


def gather(columns: Columns) -> Mapping[Parts, list[str]]:
    """The layers as the file spells them, by what they are made of.

    A tensor whose name says nothing of its role is in none.
    """
    return _in_step(columns) if columns.in_step else _one_by_one(columns)


def count_forms(
    columns: Columns, gathered: Mapping[Parts, Sequence[str]]
) -> Mapping[Hashable, int]:
    """How many tensors there are of each form; `gathered` is what `gather` makes of the columns."""
    if not columns.in_step:
        return Counter(columns.form_of)
    counts: dict[Hashable, int] = {}
    for parts, layers in gathered.items():
        size = len(layers)
        for _, key in parts:
            counts[key] = counts.get(key, 0) + size
    return counts


def _in_step(columns: Columns) -> dict[Parts, list[str]]:
    """The layers of names that are made of them and of the same ends."""
    step = len(columns.ends)
    found: defaultdict[tuple[Hashable, ...], list[str]] = defaultdict(list)
    keys = zip(*(columns.form_of[place::step] for place in range(step)), strict=True)
    for layer, key in zip(columns.stems, keys, strict=True):
        found[key].append(layer)
    roles = [TAILS[end] for end in columns.ends]
    return {tuple(zip(roles, key, strict=True)): layers for key, layers in found.items()}


def _one_by_one(columns: Columns) -> dict[Parts, list[str]]:
    """The same for any names in any order."""
    names = [stem + end for stem in columns.stems for end in columns.ends]
    gathered: dict[str, dict[str, Hashable]] = {}
    for name, form in zip(names, columns.form_of, strict=True):
        # In most files the first dot of a name ends the layer.
        cut = name.find(".")
        role = TAILS.get(name[cut:])
        if role is None:
            layer, role = split_name(name)
            if not role:
                continue
        else:
            layer = name[:cut]
        roles = gathered.get(layer)
        if roles is None:
            gathered[layer] = {role: form}
        else:
            roles[role] = form
    found: dict[Parts, list[str]] = {}
    for layer, roles in gathered.items():
        found.setdefault(tuple(roles.items()), []).append(layer)
    return found

"""The settings of a recipe on their way into the format of another trainer.

A format takes the settings that its trainer has. Whatever it does not take is noted with its value, so
that nothing is lost without a word.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crawler.decode import clean
from crawler.decode.embedded_json import read_literal
from crawler.decode.problems import UnreadableError
from crawler.insight.export.draft import PLACEHOLDER, Export, Kind, Note, Option

#: Notes on what only sd-scripts has.
_OF_SD_SCRIPTS = frozenset({
    "script", "output_dir", "xformers, sdpa", "cache_text_encoder_outputs",
    "token_warmup_min, token_warmup_step",
})  # fmt: skip

#: Options whose 0 does not mean off.
_ZERO_MEANS = frozenset(
    {"max_grad_norm", "prior_loss_weight", "seed", "guidance_scale", "discrete_flow_shift"}
)

#: Options that have an effect only together with another one.
_NEEDS = {
    "multires_noise_discount": "multires_noise_iterations",
    "adaptive_noise_scale": "noise_offset",
    "noise_offset_random_strength": "noise_offset",
    "ip_noise_gamma_random_strength": "ip_noise_gamma",
}

#: After a note on the first of several values.
_MORE = "; elsewhere it has other values"

#: Options of one schedule only.
_OF_SCHEDULE = {
    "lr_scheduler_num_cycles": "cosine_with_restarts",
    "lr_scheduler_power": "polynomial",
}

#: Texts of arguments that turn something off, in lower case.
_OFF = frozenset({"", "0", "0.0", "false", "none"})

#: Algorithms of LyCORIS that some trainer here has, and that change convolutions.
_WITH_CONV = frozenset({"lora", "locon", "loha", "lokr"})

#: Kinds of loss that have the options of a Huber loss.
_HUBER = frozenset({"huber", "smooth_l1"})


@dataclass(frozen=True, slots=True)
class Written:
    """A recipe in the format of a trainer.

    Attributes:
        files: File name and text of each.
        notes: What was not carried over, is missing, assumed or contradictory, in this order.
    """

    files: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """The network of a recipe.

    Attributes:
        shown: Its module, for notes.
        algo: `lora`, with or without convolutions, or another algorithm of LyCORIS; empty for a module
            that is neither the LoRA of sd-scripts nor LyCORIS.
        decomposes: Whether weights are decomposed into magnitude and direction, as in DoRA.
        args: The other arguments: their names and their texts.
    """

    shown: str
    algo: str
    decomposes: bool
    args: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rates:
    """Learning rates.

    Attributes:
        base: The rate of parts without a rate of their own.
        unet: That of the U-Net or transformer; None for the base rate.
        encoders: Those of text encoders in order, a single 0 if none is trained; none for the base rate.
    """

    base: float | None
    unet: float | None
    encoders: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """The options of a recipe that no one has taken yet.

    Attributes:
        trainer: Its name in notes.
        made: The whole recipe.
        options: Of config.toml, by name.
        datasets: Of each dataset.
        folders: Of each folder, by the number of its dataset.
        notes: What was noted so far, by kind and subject.
    """

    trainer: str
    made: Export
    options: dict[str, Option]
    datasets: tuple[dict[str, Option], ...]
    folders: tuple[tuple[int, dict[str, Option]], ...]
    notes: dict[tuple[Kind, str], Note]

    def take(self, name: str) -> Any:
        """The value of an option, which is then carried over; None without one."""
        return take(self.options, name)

    def peek(self, name: str) -> Any:
        """The value of an option, which stays; None without one."""
        option = self.options.get(name)
        return None if option is None else option.value

    def remark(self, name: str) -> str:
        """The remark on an option that is not taken yet; may be empty."""
        return self.options[name].remark if name in self.options else ""

    def arguments(self, name: str) -> dict[str, str]:
        """The arguments of `network_args` or `optimizer_args`: their names and their texts."""
        return dict(pair.split("=", 1) for pair in self.take(name) or ())

    def network(self) -> Network:
        """The network, which is then carried over but for its rank, alpha and arguments."""
        module, args = str(self.take("network_module") or ""), self.arguments("network_args")
        decomposes = [is_on(args.pop(name, "")) for name in ("dora_wd", "weight_decompose")]
        if not module.startswith(("lycoris.", "locon.")):
            algo = "lora" if not module or module.startswith("networks.lora") else ""
            if "conv_dim" in args:
                args.setdefault("conv_alpha", "1")  # the default of sd-scripts
            return Network(module, algo, any(decomposes), args)
        algo = args.pop("algo", "lora").casefold()
        if algo in _WITH_CONV:
            # LyCORIS gives convolutions the rank and alpha of the other layers by default.
            for name, size in (("conv_dim", "network_dim"), ("conv_alpha", "network_alpha")):
                if name not in args and self.peek(size) is not None:
                    args[name] = f"{self.peek(size)}"
        shown = f"{module} with algo={algo}"
        return Network(shown, "lora" if algo == "locon" else algo, any(decomposes), args)

    def rates(self) -> Rates:
        """The learning rates, which are then carried over."""
        base, unet = self.take("learning_rate"), self.take("unet_lr")
        rates = self.take("text_encoder_lr")
        encoders = rates if isinstance(rates, tuple) else () if rates is None else (rates,)
        if self.take("network_train_unet_only") is True:
            encoders = (0.0,)
        return Rates(base, unet, encoders)

    def lose(self, subject: str, value: object, why: str = "") -> None:
        """Note a setting that is not carried over; of many folders the first one is named."""
        text = f"{shown(value)}; {why or f'{self.trainer} has no such setting'}"
        self._note(Note(Kind.NOT_CARRIED, subject, text))

    def lose_arguments(self, args: Mapping[str, str]) -> None:
        """Note the arguments of the network that are left, unless they are off."""
        for name, text in args.items():
            if text.casefold() not in _OFF:
                self.lose(f"network_args.{name}", text)

    def drop(self, name: str, why: str) -> None:
        """Take an option, and note that it is not carried over."""
        if name in self.options:
            self.lose(name, self.take(name), why)

    def assume(self, subject: str, text: str) -> None:
        """Note what is written but not stated by the metadata."""
        self._note(Note(Kind.ASSUMED, subject, text))

    def conflict(self, subject: str, text: str) -> None:
        """Note what the trainer cannot do."""
        self._note(Note(Kind.CONFLICT, subject, text))

    def finish(self) -> tuple[Note, ...]:
        """All notes. Options that no one took are noted, unless they are off or were only assumed."""
        assumed = {note.subject for note in self.made.notes if note.kind is Kind.ASSUMED}
        values = _values(self.made)
        for left in (self.options, *self.datasets, *(folder for _, folder in self.folders)):
            for name, option in left.items():
                if name not in assumed and not _is_idle(option, values):
                    self.lose(name, option.value)
        gone = _OF_SD_SCRIPTS.union(self.options, *self.datasets, *(one for _, one in self.folders))
        kept = (
            Note(note.kind, note.subject, note.text)
            for note in self.made.notes
            if note.subject not in gone or (note.kind is Kind.CONFLICT and note.subject != "script")
        )
        order = list(Kind)
        return tuple(sorted((*self.notes.values(), *kept), key=lambda note: order.index(note.kind)))

    def _note(self, note: Note) -> None:
        first = self.notes.setdefault((note.kind, note.subject), note)
        if first.text not in {note.text, f"{note.text}{_MORE}"} and not first.text.endswith(_MORE):
            told = replace(first, text=f"{first.text}{_MORE}")
            self.notes[note.kind, note.subject] = told


def begin(made: Export, trainer: str) -> Carried:
    """All options of a recipe, ready to be taken."""
    return Carried(
        trainer=trainer,
        made=made,
        options=_by_name(option for section in made.config for option in section.options),
        datasets=tuple(_by_name(table.options) for table in made.datasets),
        folders=tuple(
            (number, _by_name(subset))
            for number, table in enumerate(made.datasets)
            for subset in table.subsets
        ),
        notes={},
    )


def take(options: dict[str, Option], name: str) -> Any:
    """The value of an option, which is then gone; None without one."""
    option = options.pop(name, None)
    return None if option is None else option.value


def literal(text: str) -> Any:
    """The value of an argument; its text if it is no Python literal."""
    try:
        return read_literal(text)
    except UnreadableError:
        return text


def is_on(text: str) -> bool:
    """Whether the text of an argument turns a switch on."""
    return text.casefold() in {"true", "1"}


def shown(value: object) -> str:
    """A value in a note."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return ", ".join(map(shown, value))
    return clean.quote(value) if isinstance(value, str) else str(value).replace("e-0", "e-")


def _by_name(options: Iterable[Option]) -> dict[str, Option]:
    return {option.name: option for option in options}


def _values(made: Export) -> Mapping[str, Any]:
    return {option.name: option.value for section in made.config for option in section.options}


def _is_idle(option: Option, values: Mapping[str, Any]) -> bool:
    """Whether nothing is lost without the option: it is off, has no effect, or is no setting."""
    name, value = option.name, option.value
    if name.startswith("huber_"):
        return values.get("loss_type") not in _HUBER
    if isinstance(value, str):
        is_path = value.startswith(PLACEHOLDER) or name == "dataset_config"
        return is_path or (name, value) == ("loss_type", "l2")
    if value is False or (value == 0 and name not in _ZERO_MEANS):
        return True
    if name in _OF_SCHEDULE:
        return values.get("lr_scheduler") != _OF_SCHEDULE[name]
    if name in {"prior_loss_weight", "clip_skip"}:
        return value == 1
    return name in _NEEDS and not values.get(_NEEDS[name])

"""Made-up training runs whose numbers agree: images, batches, steps, epochs and time."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle
from math import ceil
from random import Random

from crawler.sandbox.headers import Algo, Base, Network

_DAY_SECONDS = 86_400
_BUCKET_STEP = 64  # px, the default of sd-scripts' bucket_reso_steps
_DIMS = {4: 4, 8: 10, 16: 20, 32: 30, 64: 14, 96: 2, 128: 20}  # in hundredths
_SCHEDULERS = ("cosine", "cosine_with_restarts", "constant", "constant_with_warmup", "linear")
# Optimizer and arguments as sd-scripts writes them; share, learning rate (None: Adafactor's own)
_OPTIMIZERS: Mapping[str, tuple[int, float | None]] = {
    "bitsandbytes.optim.adamw.AdamW8bit": (52, 1e-4),
    "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))": (8, 5e-4),
    "torch.optim.adamw.AdamW": (8, 1e-4),
    "prodigyopt.prodigy.Prodigy(decouple=True,weight_decay=0.5,betas=(0.9, 0.99))": (16, 1.0),
    "transformers.optimization.Adafactor(scale_parameter=False,relative_step=False)": (7, 3e-4),
    "transformers.optimization.Adafactor(relative_step=True)": (3, None),
    "lion_pytorch.lion_pytorch.Lion(weight_decay=0.1)": (6, 5e-5),
}
_SECONDS_PER_IMAGE = {Base.SD1: 0.4, Base.SDXL: 0.9, Base.FLUX1: 2.2}
_SIDES = {Base.SD1: (512, 512, 640, 768), Base.SDXL: (1024, 1024, 768), Base.FLUX1: (1024, 512)}
_RARITIES = tuple((step / 40) ** 3 for step in range(1, 40))  # shares of images that have a tag
_COMMON_TAGS = (
    "1girl", "solo", "looking at viewer", "smile", "simple background", "standing", "upper body",
    "outdoors", "1boy", "sitting", "full body", "open mouth", "indoors", "day", "night", "^_^",
    ":d", "猫耳", "no humans", "scenery", "monochrome", "sketch",
)  # fmt: skip
_ADJECTIVES = "long short red blue silver black white striped torn wide open floating wooden tiny"
_NOUNS = (
    "hair eyes scarf hat gloves boots coat ribbon sleeves skirt umbrella lantern window table cup"
    " book sword wings tail horns mask cape belt collar shirt bench bridge tower boat cloud moon"
    " flower leaf tree river chair mirror clock bag bottle bell crown earrings glasses hood"
)
_RARE_TAGS = tuple(f"{one} {noun}" for noun in _NOUNS.split() for one in _ADJECTIVES.split())


class Trainer(StrEnum):
    """The trainers, as values of the column `trainer`."""

    KOHYA = "kohya"
    ONETRAINER = "onetrainer"
    AI_TOOLKIT = "ai-toolkit"


_TRAINERS = {Base.SD1: (94, 6, 0), Base.SDXL: (88, 12, 0), Base.FLUX1: (50, 10, 40)}  # hundredths


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder of images; `tags` has the number of its images that have each tag."""

    name: str
    repeats: int
    images: int
    tags: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run at the moment of its last save."""

    trainer: Trainer
    network: Network
    alpha: float
    optimizer: str
    learning_rate: float | None  # None where the optimizer finds its own
    scheduler: str
    folders: tuple[Folder, ...]
    images: int  # per epoch, with repeats
    resolution: int  # side of the square of the training area, px
    buckets: tuple[tuple[int, int, int], ...] | None  # width, height, images with repeats
    batch_size: int
    batches: int  # steps of an epoch
    epochs: int  # planned
    epoch: int  # done at this save
    started_at: float  # Unix time, in seconds
    seconds: float  # from the start to this save


def happens(dice: Random, share: float) -> bool:
    """True in this share of all cases."""
    return dice.random() < share


def draw_network(dice: Random, base: Base, model_type: str) -> tuple[Trainer, Network]:
    """A usual network for this type and base, and its trainer."""
    algo, shares = Algo.LORA, _TRAINERS[base]
    if model_type != "LORA":  # LyCORIS networks come from sd-scripts
        shares = (1, 0, 0)
        algo = dice.choices((Algo.LOCON, Algo.LOHA, Algo.LOKR), (60, 20, 20))[0]
    if model_type == "DoRA":
        algo = Algo.DORA
    trainer = dice.choices(tuple(Trainer), shares)[0]
    text_encoder = happens(dice, 0.1 if base is Base.FLUX1 else 0.75)
    network = Network(
        base=base,
        algo=algo,
        dim=dice.choices(tuple(_DIMS), tuple(_DIMS.values()))[0],
        text_encoder=text_encoder and trainer is not Trainer.AI_TOOLKIT,
        dtype=dice.choices(("F16", "BF16", "F32"), (80, 17, 3))[0],
        diffusers_names=trainer is Trainer.AI_TOOLKIT,
    )
    return trainer, network


def draw_run(
    dice: Random, trainer: Trainer, network: Network, trigger: str, saved_by: float
) -> Run:
    """A training run that ended some days before `saved_by` (Unix time, in seconds)."""
    folders = _draw_folders(dice, trigger)
    side = dice.choice(_SIDES[network.base])
    batch = dice.choice((1, 2, 2, 3, 4, 6))
    buckets = _draw_buckets(dice, folders, side) if happens(dice, 0.9) else None
    images = sum(folder.images * folder.repeats for folder in folders)
    counts = [images] if buckets is None else [count for _width, _height, count in buckets]
    batches = sum(ceil(count / batch) for count in counts)
    epochs = max(1, min(20, round(dice.uniform(800, 4000) / batches)))
    epoch = dice.choice((epochs, epochs, dice.randint(1, epochs)))  # some are saved on the way
    optimizer = dice.choices(tuple(_OPTIMIZERS), [share for share, _ in _OPTIMIZERS.values()])[0]
    rate = _OPTIMIZERS[optimizer][1]
    seconds = epoch * batches * batch * _SECONDS_PER_IMAGE[network.base] * dice.uniform(0.4, 2.5)
    return Run(
        trainer=trainer,
        network=network,
        alpha=float(dice.choice((1, max(1, network.dim // 2), network.dim, network.dim))),
        optimizer=optimizer,
        learning_rate=rate,
        scheduler="adafactor:0.0001" if rate is None else dice.choice(_SCHEDULERS),
        folders=folders,
        images=images,
        resolution=side,
        buckets=buckets,
        batch_size=batch,
        batches=batches,
        epochs=epochs,
        epoch=epoch,
        started_at=saved_by - seconds - dice.uniform(0.1, 12) * _DAY_SECONDS,
        seconds=seconds,
    )


def _draw_folders(dice: Random, trigger: str) -> tuple[Folder, ...]:
    folders = []
    for number in range(1, dice.choices((1, 2, 3), (85, 10, 5))[0] + 1):
        images, rare = round(12 + 60 * dice.random() ** 2), round(250 * dice.random() ** 2)
        if happens(dice, 0.03):  # few learn from a whole gallery
            images, rare = dice.randint(400, 4000), len(_RARE_TAGS)
        repeats = max(1, round(dice.uniform(100, 500) / images))
        tags = (*dice.sample(_COMMON_TAGS, 15), *dice.sample(_RARE_TAGS, rare))
        shares = cycle(dice.sample(_RARITIES, len(_RARITIES)))
        counts = {
            tag: max(1, int(images * share)) for tag, share in zip(tags, shares, strict=False)
        }
        name = f"{repeats}_{trigger}" + (f" part {number}" if number > 1 else "")
        counts = {trigger: images} | counts
        folders.append(Folder(name=name, repeats=repeats, images=images, tags=counts))
    return tuple(folders)


def _draw_buckets(
    dice: Random, folders: tuple[Folder, ...], side: int
) -> tuple[tuple[int, int, int], ...]:
    """Spread the images of every folder over some shapes of about `side` squared pixels."""
    widths = sorted(dice.sample(range(side // 2, side * 2 + 1, _BUCKET_STEP), dice.randint(1, 9)))
    counts = dict.fromkeys(widths, 0)
    for folder in folders:
        for _image in range(folder.images):
            counts[dice.choice(widths)] += folder.repeats
    return tuple(
        (width, side * side // width // _BUCKET_STEP * _BUCKET_STEP, count)
        for width, count in counts.items()
        if count
    )

"""Made-up training runs whose numbers agree with each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from math import ceil
from random import Random

from crawler.sandbox import words
from crawler.sandbox.chance import happens
from crawler.sandbox.layers import Base
from crawler.sandbox.tensors import Algo, Network

DAY_SECONDS = 86_400
_BUCKET_STEP = 64  # px, sd-scripts' default bucket_reso_steps
_PRODIGY = "decouple=True,weight_decay=0.5,betas=(0.9, 0.99),use_bias_correction=False"
_ADAFACTOR = "scale_parameter=False,relative_step=False,warmup_init=False"
# (share, ss_optimizer, learning rate; None stands for Adafactor's own)
_OPTIMIZERS: tuple[tuple[int, str, float | None], ...] = (
    (46, "bitsandbytes.optim.adamw.AdamW8bit", 1e-4),
    (6, "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))", 5e-4),
    (8, "torch.optim.adamw.AdamW", 1e-4),
    (18, f"prodigyopt.prodigy.Prodigy({_PRODIGY})", 1.0),
    (8, f"transformers.optimization.Adafactor({_ADAFACTOR})", 3e-4),
    (3, "transformers.optimization.Adafactor(relative_step=True)", None),
    (6, "lion_pytorch.lion_pytorch.Lion(weight_decay=0.1)", 5e-5),
    (5, "dadaptation.dadapt_adam.DAdaptAdam(decouple=True,weight_decay=0.01)", 1.0),
)
_SCHEDULERS = ("cosine", "cosine_with_restarts", "constant", "constant_with_warmup", "linear")
_DIMS = (4, 8, 16, 32, 64, 96, 128)
_DIM_WEIGHTS = (4, 10, 20, 30, 14, 2, 20)
_SECONDS_PER_IMAGE = {Base.SD1: 0.4, Base.SD2: 0.5, Base.SDXL: 0.9, Base.FLUX1: 2.2}
# In which share of the images a tag occurs: most in few
_RARITIES = tuple((step / 40) ** 3 for step in range(1, 40))
_SIDES = {
    Base.SD1: (512, 512, 512, 640, 768),
    Base.SD2: (768,),
    Base.SDXL: (1024, 1024, 1024, 768),
    Base.FLUX1: (1024, 512, 768),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder of training images; `tags` counts in how many of them each tag occurs."""

    name: str
    repeats: int
    images: int
    is_reg: bool
    tags: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training run as its last save saw it.

    Attributes:
        resized_from: The rank before a resize, None when there was none.
        resolution: Side of the square of the training area, px.
        buckets: Width, height and number of images with repeats; None when buckets are off.
        batches: Per epoch.
        max_steps: Optimizer steps that were planned.
        steps: Optimizer steps done at this save.
        started_at: Unix time, in seconds.
        seconds: From the start to this save.
        dataset_config: Whether the data were described by a file, which changes the keys.
    """

    network: Network
    alpha: float
    resized_from: int | None
    optimizer: str
    learning_rate: float | None
    text_encoder_lr: float | None
    scheduler: str
    warmup_steps: int
    folders: tuple[Folder, ...]
    resolution: int
    buckets: tuple[tuple[int, int, int], ...] | None
    batch_size: int
    accumulation: int
    batches: int
    epochs: int
    epoch: int
    max_steps: int
    steps: int
    started_at: float
    seconds: float
    dataset_config: bool

    @property
    def train_images(self) -> int:
        """Images per epoch, with repeats, without regularisation."""
        return sum(folder.images * folder.repeats for folder in self.folders if not folder.is_reg)

    @property
    def reg_images(self) -> int:
        """Regularisation images per epoch, with repeats."""
        return sum(folder.images * folder.repeats for folder in self.folders if folder.is_reg)


def draw_network(dice: Random, base: Base, model_type: str) -> Network:
    """What a model of this type on this base usually holds."""
    algo = Algo.LORA
    if model_type == "DoRA":
        algo = Algo.DORA
    elif model_type == "LoCon":
        algo = dice.choices((Algo.LOCON, Algo.LOHA, Algo.LOKR), (60, 20, 20))[0]
    dim = dice.choices(_DIMS, _DIM_WEIGHTS)[0]
    if algo in (Algo.LOHA, Algo.LOKR, Algo.DORA):
        dim = min(dim, 32)  # twice the tensors per rank: nobody trains them wide
    convolutions = algo is not Algo.LORA and base is not Base.FLUX1
    return Network(
        base=base,
        algo=algo,
        dim=dim,
        conv_dim=max(1, dim // 2) if convolutions else None,
        text_encoder=happens(dice, 0.05 if base is Base.FLUX1 else 0.75),
        dtype=dice.choices(("F16", "BF16", "F32"), (80, 17, 3))[0],
        dynamic=happens(dice, 0.01),  # few are resized dynamically
    )


def draw_run(dice: Random, network: Network, trigger: str, saved_by: float) -> Run:
    """A run that ended some days before `saved_by` (Unix time, in seconds)."""
    folders = _draw_folders(dice, trigger)
    base = network.base
    side = dice.choice(_SIDES[base])
    batch = dice.choice((1, 2, 2, 3, 4, 6))
    accumulation = dice.choices((1, 2, 4), (92, 5, 3))[0]
    counts = _draw_buckets(dice, folders, side) if happens(dice, 0.9) else None
    total = sum(folder.images * folder.repeats for folder in folders)
    batches = (
        ceil(total / batch)
        if counts is None
        else sum(ceil(count / batch) for _width, _height, count in counts)
    )
    per_epoch = ceil(batches / accumulation)
    epochs = max(1, min(20, round(dice.uniform(800, 4000) / per_epoch)))
    planned = epochs * per_epoch
    epoch = epochs if happens(dice, 0.7) else dice.randint(1, epochs)
    steps = epoch * per_epoch
    _share, optimizer, rate = dice.choices(_OPTIMIZERS, [row[0] for row in _OPTIMIZERS])[0]
    per_step = _SECONDS_PER_IMAGE[base] * dice.uniform(0.4, 2.5) * batch * accumulation
    seconds = steps * per_step
    resized = network.dynamic or happens(dice, 0.02)  # few are resized
    trained_dim = max(network.dim * 2, 64) if resized else network.dim
    return Run(
        network=network,
        alpha=float(dice.choice((1, max(1, network.dim // 2), network.dim, network.dim))),
        resized_from=trained_dim if resized else None,
        optimizer=optimizer,
        learning_rate=rate,
        text_encoder_lr=None if rate is None or rate == 1.0 else rate / 2,
        scheduler="adafactor:0.0001" if rate is None else dice.choice(_SCHEDULERS),
        warmup_steps=dice.choice((0, 0, 50, 100, planned // 10)),
        folders=folders,
        resolution=side,
        buckets=counts,
        batch_size=batch,
        accumulation=accumulation,
        batches=batches,
        epochs=epochs,
        epoch=epoch,
        max_steps=planned,
        steps=steps,
        started_at=saved_by - seconds - dice.uniform(0.1, 12) * DAY_SECONDS,
        seconds=seconds,
        dataset_config=happens(dice, 0.4),  # on-site runs and config files
    )


def _draw_folders(dice: Random, trigger: str) -> tuple[Folder, ...]:
    gallery = happens(dice, 0.03)  # few learn from a whole gallery
    folders = []
    for number in range(dice.choices((1, 2, 3), (85, 10, 5))[0]):
        images = round(12 + 60 * dice.random() ** 2)
        tag_count = round(20 + 250 * dice.random() ** 2)
        if gallery:
            images, tag_count = dice.randint(400, 4000), dice.randint(1500, words.TAG_LIMIT // 2)
        repeats = max(1, round(dice.uniform(100, 500) / images))
        rarities = dice.sample(_RARITIES, len(_RARITIES))
        occurrences = cycle([max(1, int(images * rarity)) for rarity in rarities])
        counts = {trigger: images} | dict(
            zip(words.tags(dice, tag_count), occurrences, strict=False)
        )
        suffix = "" if number == 0 else f" part {number + 1}"
        folders.append(
            Folder(
                name=f"{repeats}_{trigger}{suffix}",
                repeats=repeats,
                images=images,
                is_reg=False,
                tags=counts,
            )
        )
    if happens(dice, 0.06):  # few train with regularisation images
        wanted = sum(folder.images * folder.repeats for folder in folders)
        folders.append(Folder(name="1_girl", repeats=1, images=wanted, is_reg=True, tags={}))
    return tuple(folders)


def _draw_buckets(
    dice: Random, folders: tuple[Folder, ...], side: int
) -> tuple[tuple[int, int, int], ...]:
    """Spread every folder's images over some shapes of about `side` squared pixels."""
    widths = range(side // 2, side * 2 + 1, _BUCKET_STEP)
    chosen = sorted(dice.sample(widths, dice.randint(1, min(len(widths), 16))))
    counts = [0] * len(chosen)
    for folder in folders:
        cuts = sorted(dice.randint(0, folder.images) for _width in chosen[1:])
        for number, (low, high) in enumerate(
            zip([0, *cuts], [*cuts, folder.images], strict=True),
        ):
            counts[number] += (high - low) * folder.repeats
    return tuple(
        (width, side * side // width // _BUCKET_STEP * _BUCKET_STEP, count)
        for width, count in zip(chosen, counts, strict=True)
        if count
    )

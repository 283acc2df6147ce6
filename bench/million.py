"""Fill a database with made-up files, as many as wanted: `python -m bench.million PLACE`.

The values have the shares and spreads of real ones, roughly: several versions of a model, few creators
with many models, common ranks and rare ones, files without metadata and files that were refused. They
are written with the driver's fastest means, so that a million files take two minutes.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crawler.store.connect.database import Engine, open_for_writing
from crawler.store.schema import tables
from crawler.store.stats.field_stats import refresh_statistics

#: Value -> its weight.
BASE_MODELS = {
    "SD 1.5": 24,
    "Illustrious": 24,
    "Pony": 18,
    "SDXL 1.0": 14,
    "Flux.1 D": 10,
    "NoobAI": 4,
    "Wan Video 14B t2v": 2,
    "Qwen": 1,
    "SD 2.1": 1,
    "Other": 2,
}
OPTIMIZERS = {
    "AdamW8bit": 50,
    "Prodigy": 15,
    "AdamW": 12,
    "Adafactor": 12,
    "Lion": 4,
    "CAME": 3,
    "DAdaptAdam": 2,
    "Lion8bit": 1,
    "AdaBelief": 1,
}
SCHEDULERS = {"cosine": 35, "cosine_with_restarts": 35, "constant": 20, "linear": 8, "REX": 2}
DIMS = {4: 4, 8: 10, 16: 20, 32: 36, 64: 16, 128: 12, 24: 1, 48: 1, 256: 1}
RATES = {1e-4: 30, 5e-4: 30, 3e-4: 12, 2e-4: 8, 1.0: 12, 5e-5: 6, 8e-5: 2}
SIDES = {512: 25, 768: 15, 1024: 60}
REFUSED = {
    "early_access": (2, "early access until a later day"),
    "login_required": (3, "the creator requires users to log in to download"),
    "not_found": (1, "HTTP 404"),
    "failed": (1, "no answer within 30 s"),
    "pending": (4, None),
}
BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 1_000
SEEN = "2026-01-01 00:00:00"

#: Files made and written at a time; a model has its files in one batch.
BATCH = 21_000

#: Bytes of a header and of what the site says of a model and of a version, as stored.
HEADER, BODY = 900, 600

Columns = Mapping[str, Sequence[Any]]


def drawn(dice: random.Random, shares: dict[Any, int], count: int) -> list[Any]:
    """Values in their shares."""
    return dice.choices(list(shares), list(shares.values()), k=count)


def some(dice: random.Random, part: float, values: Sequence[Any]) -> list[Any]:
    """The values, of which only this part stays."""
    return [value if dice.random() < part else None for value in values]


def stamp(seconds: float) -> str:
    """A time as it is stored."""
    return f"{BEGIN + timedelta(seconds=int(seconds)):%Y-%m-%d %H:%M:%S}"


def listed(dice: random.Random, numbers: range) -> Columns:
    """What the site says of these files: every third shares its model with another one."""
    count = len(numbers)
    models = [number - number % 3 // 2 for number in numbers]
    of_model = {
        model: (
            f"creator{int(60_000 * dice.random() ** 3)}",
            drawn(dice, BASE_MODELS, 1)[0],
            dice.randrange(DAYS * 86_400),
            int(dice.paretovariate(0.6)) % 50_000,
        )
        for model in dict.fromkeys(models)
    }
    about = [of_model[model] for model in models]
    digests = [f"{dice.getrandbits(256):064X}" for _ in numbers]
    return {
        "file_id": numbers,
        "version_id": [number - (number % 15 == 14) for number in numbers],
        "model_id": models,
        "site": ["civitai"] * count,
        "page_url": [f"https://civitai.com/models/{one}?modelVersionId={one}" for one in models],
        "model_name": [f"Made-up {one * 7 % 100_000} style" for one in models],
        "version_name": [f"v{1 + number % 3}.0" for number in numbers],
        "creator": [one[0] for one in about],
        "model_type": ["LORA"] * count,
        "base_model": [one[1] for one in about],
        "model_tags": [json.dumps(["style", f"tag{one % 500}"]) for one in models],
        "trained_words": [json.dumps([f"word{one % 9_999}"]) for one in models],
        "nsfw": [dice.random() < 0.2 for _ in numbers],
        "nsfw_level": [1] * count,
        "published_at": [
            stamp(one[2] + number % 3 * 86_400) for one, number in zip(about, numbers, strict=True)
        ],
        "downloads": [one[3] * 9 + 5 for one in about],
        "likes": [one[3] for one in about],
        "likes_per_month": [
            one[3] / (1 + number % 30) for one, number in zip(about, numbers, strict=True)
        ],
        "file_name": [f"made-up-{number}.safetensors" for number in numbers],
        "is_primary": [number % 15 != 14 for number in numbers],
        "size_bytes": [dice.randrange(10_000_000, 300_000_000) for _ in numbers],
        "sha256": digests,
        "autov2": [digest[:10] for digest in digests],
        "autov3": [f"{dice.getrandbits(48):012X}" for _ in numbers],
        "attempts": [1] * count,
        "fetched_at": [SEEN] * count,
    }


def trained(dice: random.Random, numbers: range) -> Columns:
    """The settings of these files, as if each had metadata."""
    count = len(numbers)
    dims = drawn(dice, DIMS, count)
    rates = drawn(dice, RATES, count)
    batches = drawn(dice, {1: 30, 2: 35, 3: 5, 4: 20, 6: 6, 8: 4}, count)
    images = [min(int(dice.lognormvariate(3.6, 0.9)) + 5, 9_000) for _ in numbers]
    repeats = drawn(dice, {1: 20, 2: 15, 5: 20, 10: 35, 20: 10}, count)
    epochs = drawn(dice, {5: 10, 10: 50, 15: 15, 20: 15, 30: 10}, count)
    sides = drawn(dice, SIDES, count)
    steps = [
        max(image * repeat * epoch // batch, 1)
        for image, repeat, epoch, batch in zip(images, repeats, epochs, batches, strict=True)
    ]
    seen = [step * batch for step, batch in zip(steps, batches, strict=True)]
    optimizers = drawn(dice, OPTIMIZERS, count)
    return {
        "trainer": ["kohya"] * count,
        "trainer_version": [f"{dice.getrandbits(160):040x}" for _ in numbers],
        "output_name": [f"made-up-{number}" for number in numbers],
        "session_id": [str(dice.getrandbits(31)) for _ in numbers],
        "network_module": drawn(dice, {"networks.lora": 80, "lycoris.kohya": 20}, count),
        "network_dim": dims,
        "network_alpha": [float(dim // dice.choice((1, 2, 2))) for dim in dims],
        "network_args": some(dice, 0.2, ['{"conv_dim": 8, "conv_alpha": 4}'] * count),
        "network_algo": drawn(dice, {"lora": 80, "locon": 12, "lokr": 8}, count),
        "learning_rate": rates,
        "unet_lr": rates,
        "text_encoder_lr": [rate / 2 for rate in rates],
        "effective_unet_lr": rates,
        "effective_text_encoder_lr": [rate / 2 for rate in rates],
        "optimizer": optimizers,
        "optimizer_path": [f"made_up.optim.{one}" for one in optimizers],
        "optimizer_args": some(dice, 0.5, ['{"weight_decay": 0.1}', "{}"] * (count // 2 + 1))[
            :count
        ],
        "lr_scheduler": drawn(dice, SCHEDULERS, count),
        "lr_warmup_steps": drawn(dice, {0: 60, 50: 10, 100: 20, 237: 10}, count),
        "max_grad_norm": drawn(dice, {1.0: 95, 0.0: 5}, count),
        "steps": steps,
        "max_train_steps": steps,
        "epoch": epochs,
        "num_epochs": epochs,
        "batches_per_epoch": [step // epoch for step, epoch in zip(steps, epochs, strict=True)],
        "batch_size": batches,
        "gradient_accumulation_steps": drawn(dice, {1: 90, 2: 8, 4: 2}, count),
        "total_batch_size": batches,
        "image_count": images,
        "num_train_images": [one * more for one, more in zip(images, repeats, strict=True)],
        "num_reg_images": [0] * count,
        "mean_repeats": [float(repeat) for repeat in repeats],
        "resolution": [float(side) for side in sides],
        "resolution_width": sides,
        "resolution_height": sides,
        "enable_bucket": drawn(dice, {True: 95, False: 5}, count),
        "bucket_no_upscale": drawn(dice, {True: 40, False: 60}, count),
        "min_bucket_reso": drawn(dice, {256: 80, 320: 20}, count),
        "max_bucket_reso": drawn(dice, {1024: 50, 2048: 50}, count),
        "tag_count": [dice.randrange(10, 900) for _ in numbers],
        "shuffle_caption": drawn(dice, {True: 60, False: 40}, count),
        "keep_tokens": drawn(dice, {0: 50, 1: 40, 2: 10}, count),
        "flip_aug": drawn(dice, {True: 20, False: 80}, count),
        "noise_offset": some(dice, 0.4, drawn(dice, {0.03: 50, 0.1: 30, 0.0357: 20}, count)),
        "multires_noise_iterations": some(dice, 0.2, drawn(dice, {6: 50, 8: 50}, count)),
        "multires_noise_discount": some(dice, 0.2, drawn(dice, {0.3: 60, 0.1: 40}, count)),
        "min_snr_gamma": some(dice, 0.5, drawn(dice, {5.0: 90, 1.0: 10}, count)),
        "prior_loss_weight": [1.0] * count,
        "loss_type": some(dice, 0.4, drawn(dice, {"l2": 90, "huber": 10}, count)),
        "mixed_precision": drawn(dice, {"fp16": 50, "bf16": 50}, count),
        "full_fp16": drawn(dice, {False: 95, True: 5}, count),
        "gradient_checkpointing": drawn(dice, {True: 70, False: 30}, count),
        "cache_latents": [True] * count,
        "seed": [dice.randrange(2**31) for _ in numbers],
        "clip_skip": some(dice, 0.7, drawn(dice, {1: 40, 2: 60}, count)),
        "max_token_length": some(dice, 0.6, drawn(dice, {225: 80, 150: 20}, count)),
        "base_model_version": drawn(dice, {"sd_v1": 40, "sdxl_base_v1-0": 60}, count),
        "sd_model_name": [
            f"model{int(dice.paretovariate(0.8)) % 3_000}.safetensors" for _ in numbers
        ],
        "sd_model_hash": [f"{int(dice.paretovariate(0.8)) % 3_000:08X}" for _ in numbers],
        "training_started_at": [stamp(dice.randrange(DAYS * 86_400)) for _ in numbers],
        "training_seconds": [step * dice.uniform(0.5, 3) for step in steps],
        "images_seen": seen,
        "images_seen_is_lower_bound": [False] * count,
        "megapixels_seen": [one * side * side / 1e6 for one, side in zip(seen, sides, strict=True)],
        "alpha_ratio": some(dice, 1, [0.5] * count),
    }


def weighed(dice: random.Random, numbers: range) -> Columns:
    """What the tensors of these files say."""
    count = len(numbers)
    return {
        "tensor_rank": drawn(dice, DIMS, count),
        "tensor_count": drawn(dice, {264: 40, 722: 30, 2166: 30}, count),
        "parameter_count": [dice.randrange(1_000_000, 90_000_000) for _ in numbers],
        "tensor_algo": ["lora"] * count,
        "tensor_dtype": drawn(dice, {"F16": 60, "BF16": 40}, count),
        "architecture": drawn(dice, {"sd1": 25, "sdxl": 60, "flux1": 15}, count),
        "trains_text_encoder": drawn(dice, {True: 70, False: 30}, count),
    }


def files(dice: random.Random, numbers: range) -> Columns:
    """Every column: a tenth of the files was refused, a fifth of the others has no metadata."""
    outcomes = drawn(
        dice,
        {"decoded": 70, "no_metadata": 19} | {k: v for k, (v, _) in REFUSED.items()},
        len(numbers),
    )
    told = {outcome: reason for outcome, (_, reason) in REFUSED.items()}
    is_decoded = [outcome == "decoded" for outcome in outcomes]
    is_read = [outcome in {"decoded", "no_metadata"} for outcome in outcomes]
    columns = dict(listed(dice, numbers))
    for kept, more in ((is_decoded, trained(dice, numbers)), (is_read, weighed(dice, numbers))):
        for name, values in more.items():
            columns[name] = [one if keep else None for one, keep in zip(values, kept, strict=True)]
    columns["outcome"] = outcomes
    columns["reason"] = [told.get(outcome) for outcome in outcomes]
    return columns


def rows(dice: random.Random, numbers: range) -> Iterator[tuple[sa.Table, Columns]]:
    """The columns of each table, in the order in which they can be written."""
    made = files(dice, numbers)
    models, versions = (
        list(dict.fromkeys(made["model_id"])),
        list(dict.fromkeys(made["version_id"])),
    )
    of_version = dict(
        zip(
            made["version_id"],
            zip(made["model_id"], made["published_at"], strict=True),
            strict=True,
        )
    )
    body = json.dumps({"description": "x" * BODY})
    seen = {"first_seen_at": [SEEN], "last_seen_at": [SEEN]}
    yield (
        tables.models,
        {"model_id": models, "site": ["civitai"] * len(models), "body": [body] * len(models)}
        | {name: value * len(models) for name, value in seen.items()},
    )
    yield (
        tables.versions,
        {
            "version_id": versions,
            "model_id": [of_version[one][0] for one in versions],
            "published_at": [of_version[one][1] for one in versions],
            "body": [body] * len(versions),
        }
        | {name: value * len(versions) for name, value in seen.items()},
    )
    yield tables.loras, made
    read = [
        one
        for one, outcome in zip(numbers, made["outcome"], strict=True)
        if outcome in {"decoded", "no_metadata"}
    ]
    yield (
        tables.headers,
        {
            "file_id": read,
            "length": [HEADER] * len(read),
            "data": [os.urandom(HEADER)] * len(read),
            "decoder_version": [1] * len(read),
        },
    )


def write(connection: sa.Connection, table: sa.Table, columns: Columns) -> None:
    """Write rows with the driver itself: every value is given as it is stored."""
    driver: Any = connection.connection.driver_connection
    names = ", ".join(columns)
    values = zip(*columns.values(), strict=True)
    if connection.dialect.name == "postgresql":
        with driver.cursor().copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(columns))
    driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)


def fill(place: str, count: int, seed: int) -> None:
    """Make the database and its statistics."""
    engine = open_for_writing(place)
    dice = random.Random(seed)
    begun = time.perf_counter()
    for first in range(1, count + 1, BATCH):
        numbers = range(first, min(first + BATCH, count + 1))
        with engine.begin() as connection:
            for table, columns in rows(dice, numbers):
                write(connection, table, columns)
        print(f"\r{numbers[-1]:,} files", end="", flush=True)
    print(f" in {time.perf_counter() - begun:.0f} s")
    begun = time.perf_counter()
    _make_statistics(engine)
    print(f"statistics in {time.perf_counter() - begun:.1f} s")
    engine.dispose()


def _make_statistics(engine: Engine) -> None:
    with engine.begin() as connection:
        refresh_statistics(connection, datetime.now(UTC))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("place", help="a path or a PostgreSQL URL")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    fill(given.place, given.files, given.seed)

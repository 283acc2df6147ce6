"""Fill a database with made-up rows of `loras`, as many as wanted: `python bench/make_database.py PLACE`.

The rows have the shares and spreads of real ones, roughly: what they mean does not matter, how many
there are and how wide they are does.
"""

import argparse
import random
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa

from crawler.store.connect.database import open_for_writing
from crawler.store.schema.tables import loras, models, versions
from crawler.store.stats.field_stats import refresh_statistics

BASE_MODELS = ("SD 1.5", "SDXL 1.0", "Pony", "Illustrious", "NoobAI", "Flux.1 D", "SD 2.1", "Other")
OPTIMIZERS = ("AdamW8bit", "AdamW", "Prodigy", "Adafactor", "Lion", "DAdaptAdam")
SCHEDULERS = ("cosine", "cosine_with_restarts", "constant", "linear")
DIMS = (4, 8, 16, 16, 32, 32, 32, 64, 64, 128)
BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
BATCH = 5_000


def row(dice: random.Random, number: int) -> dict[str, Any]:
    """One file; every fifth has no metadata."""
    base_model = dice.choices(BASE_MODELS, (30, 15, 20, 20, 3, 8, 1, 3))[0]
    published = BEGIN + timedelta(seconds=dice.randrange(3 * 365 * 86_400))
    likes = int(dice.paretovariate(0.9)) % 50_000
    found: dict[str, Any] = {
        "file_id": number,
        "version_id": number,
        "model_id": number,
        "site": "civitai",
        "page_url": f"https://civitai.com/models/{number}?modelVersionId={number}",
        "model_name": f"Made-up {dice.randrange(100_000)} style",
        "version_name": "v1.0",
        "creator": f"creator{dice.randrange(60_000)}",
        "model_type": "LORA",
        "base_model": base_model,
        "model_tags": ["style", f"tag{dice.randrange(500)}"],
        "trained_words": [f"word{dice.randrange(9_999)}"],
        "nsfw": dice.random() < 0.2,
        "nsfw_level": 1,
        "published_at": published,
        "downloads": likes * 9 + dice.randrange(20),
        "likes": likes,
        "file_name": f"made-up-{number}.safetensors",
        "is_primary": True,
        "size_bytes": dice.randrange(10_000_000, 300_000_000),
        "sha256": f"{dice.getrandbits(256):064X}",
        "autov2": f"{dice.getrandbits(40):010X}",
        "autov3": f"{dice.getrandbits(48):012X}",
        "outcome": "no_metadata",
        "attempts": 1,
        "fetched_at": published + timedelta(days=400),
        "tensor_rank": 32,
        "tensor_count": 2166,
        "parameter_count": 57_000_000,
        "tensor_algo": "lora",
        "tensor_dtype": "F16",
        "architecture": "sdxl",
    }
    trained = dict.fromkeys(_TRAINED)
    if dice.random() < 0.8:
        dim, images, repeats, batch = dice.choice(DIMS), dice.randrange(8, 300), 10, 2
        steps = images * repeats // batch
        rate = dice.choice((1e-4, 5e-5, 3e-4, 5e-4, 1.0))
        trained |= {
            "trainer": "kohya",
            "trainer_version": f"{dice.getrandbits(160):040x}",
            "output_name": f"made-up-{number}",
            "network_module": "networks.lora",
            "network_dim": dim,
            "network_alpha": float(dim // 2),
            "network_algo": "lora",
            "learning_rate": rate,
            "unet_lr": rate,
            "text_encoder_lr": rate / 2,
            "optimizer": dice.choice(OPTIMIZERS),
            "lr_scheduler": dice.choice(SCHEDULERS),
            "steps": steps,
            "max_train_steps": steps,
            "epoch": 10,
            "num_epochs": 10,
            "batch_size": batch,
            "image_count": images,
            "num_train_images": images * repeats,
            "resolution": dice.choice((512.0, 768.0, 1024.0)),
            "enable_bucket": True,
            "tag_count": dice.randrange(10, 900),
            "min_snr_gamma": dice.choice((None, 5.0)),
            "noise_offset": dice.choice((None, 0.03, 0.1)),
            "mixed_precision": "bf16",
            "seed": dice.randrange(2**31),
            "clip_skip": 2,
            "training_seconds": steps * 1.7,
            "images_seen": steps * batch,
            "images_seen_is_lower_bound": False,
            "alpha_ratio": 0.5,
        }
        found["outcome"] = "decoded"
    return found | trained


_TRAINED = (
    *("trainer", "trainer_version", "output_name", "network_module", "network_dim"),
    *("network_alpha", "network_algo", "learning_rate", "unet_lr", "text_encoder_lr", "optimizer"),
    *("lr_scheduler", "steps", "max_train_steps", "epoch", "num_epochs", "batch_size"),
    *("image_count", "num_train_images", "resolution", "enable_bucket", "tag_count"),
    *("min_snr_gamma", "noise_offset", "mixed_precision", "seed", "clip_skip"),
    *("training_seconds", "images_seen", "images_seen_is_lower_bound", "alpha_ratio"),
)


def fill(place: str, files: int, seed: int) -> None:
    """Make the database and its statistics."""
    engine = open_for_writing(place)
    dice = random.Random(seed)
    numbers = iter(range(1, files + 1))
    begun = time.perf_counter()
    while batch := [row(dice, number) for number in islice(numbers, BATCH)]:
        with engine.begin() as connection:
            connection.execute(sa.insert(models), [_model(one) for one in batch])
            connection.execute(sa.insert(versions), [_version(one) for one in batch])
            connection.execute(sa.insert(loras), batch)
        print(f"\r{batch[-1]['file_id']:,} files", end="", flush=True)
    print(f" in {time.perf_counter() - begun:.0f} s")
    begun = time.perf_counter()
    with engine.begin() as connection:
        refresh_statistics(connection)
    print(f"statistics in {time.perf_counter() - begun:.1f} s")
    engine.dispose()


def _model(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "model_id": found["model_id"],
        "site": "civitai",
        "name": found["model_name"],
        "first_seen_at": BEGIN,
        "last_seen_at": BEGIN,
    }


def _version(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "version_id": found["version_id"],
        "model_id": found["model_id"],
        "name": "v1.0",
        "published_at": found["published_at"],
        "first_seen_at": BEGIN,
        "last_seen_at": BEGIN,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", help="a path or a PostgreSQL URL")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    fill(given.place, given.files, given.seed)

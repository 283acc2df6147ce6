from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crawler.decode import problems
from crawler.decode.effort import derive
from crawler.model import Dataset, Problem, Trainer, Weights

START = datetime(2024, 1, 1, tzinfo=UTC)


def derived(*datasets: Dataset, **values: Any) -> dict[str, Any]:
    found, noted = derive(values, datasets, Weights())
    assert noted == ()
    return {name: value for name, value in found.items() if value is not None}


def problem_of(**values: Any) -> Problem:
    _, (noted,) = derive(values, (), Weights())
    return noted


@pytest.mark.parametrize(
    ("values", "steps"),
    [
        ({"steps": 700, "epoch": 2, "num_epochs": 2, "max_train_steps": 900}, 700),
        ({"steps": 0}, 0),
        ({"epoch": 8, "num_epochs": 8, "max_train_steps": 1200, "batches_per_epoch": 160}, 1200),
        ({"epoch": 3, "num_epochs": 8, "max_train_steps": 1200, "batches_per_epoch": 150}, 450),
        ({"epoch": 3, "batches_per_epoch": 101, "gradient_accumulation_steps": 4}, 78),
        ({"epoch": 3, "batches_per_epoch": 100, "gradient_accumulation_steps": 0}, 300),
        ({"epoch": 1, "batches_per_epoch": 60_600, "max_train_steps": 20_000}, 20_000),
    ],
)
def test_steps(values: dict[str, int], steps: int) -> None:
    assert derived(**values)["steps"] == steps


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"max_train_steps": 1200},
        {"epoch": 0, "batches_per_epoch": 100},
        {"epoch": 3, "num_epochs": 8, "max_train_steps": 1200},
    ],
)
def test_steps_that_nothing_tells(values: dict[str, int]) -> None:
    assert "steps" not in derived(**values)
    assert "images_seen" not in derived(**values, total_batch_size=4)


def test_the_total_batch_size_includes_accumulation_and_gpus() -> None:
    found = derived(steps=900, total_batch_size=16, batch_size=4, gradient_accumulation_steps=2)
    assert found["images_seen"] == 14_400
    assert found["images_seen_is_lower_bound"] is False


def test_without_it_the_images_are_a_lower_bound() -> None:
    found = derived(steps=900, batch_size=4, gradient_accumulation_steps=2)
    assert found["images_seen"] == 7_200
    assert found["images_seen_is_lower_bound"] is True


def test_without_any_batch_size_nothing_is_claimed() -> None:
    found = derived(steps=900, gradient_accumulation_steps=2)
    assert "images_seen" not in found
    assert "images_seen_is_lower_bound" not in found


def test_batches_of_several_sizes_hold_their_images_over_their_batches() -> None:
    small = Dataset(number=0, batch_size=1, num_train_images=100)
    large = Dataset(number=1, batch_size=4, num_train_images=50, num_reg_images=50)
    # 200 images in 100 + 25 batches: 1.6 a batch
    assert derived(small, large, steps=125, batch_size=4)["images_seen"] == 200
    assert derived(small, large, steps=126, batch_size=4)["images_seen"] == 201


def test_batches_of_several_sizes_without_counts_are_the_smallest() -> None:
    datasets = Dataset(number=0, batch_size=2), Dataset(number=1, batch_size=4)
    assert derived(*datasets, steps=10, batch_size=4)["images_seen"] == 20


def test_megapixels_and_seconds_per_image() -> None:
    found = derived(
        steps=100,
        total_batch_size=2,
        resolution=512.0,
        training_started_at=START,
        training_finished_at=START + timedelta(seconds=50),
    )
    assert found["megapixels_seen"] == 200 * 512 * 512 / 1e6
    assert found["training_seconds"] == 50.0
    assert found["seconds_per_image"] == 0.25


def test_no_image_has_no_seconds() -> None:
    times = {"training_started_at": START, "training_finished_at": START}
    found = derived(steps=0, total_batch_size=2, **times)
    assert found["images_seen"] == 0
    assert "seconds_per_image" not in found


@pytest.mark.parametrize("lasted", [timedelta(seconds=-1), timedelta(days=30, seconds=1)])
def test_an_impossible_time_is_dropped(lasted: timedelta) -> None:
    found = problem_of(training_started_at=START, training_finished_at=START + lasted)
    assert (found.code, found.field) == (problems.IMPOSSIBLE_TIME, "training_seconds")


def test_thirty_days_are_possible() -> None:
    times = {"training_started_at": START, "training_finished_at": START + timedelta(days=30)}
    assert derived(**times)["training_seconds"] == 30 * 86_400


def test_a_rate_of_zero_is_a_rate() -> None:
    found = derived(learning_rate=1e-4, unet_lr=0.0)
    assert found == {"effective_unet_lr": 0.0, "effective_text_encoder_lr": 1e-4}


@pytest.mark.parametrize(
    ("arguments", "scale"),
    [
        ({}, 0.5),
        ({"rs_lora": "True"}, 4.0),
        ({"use_rslora": True}, 4.0),
        ({"rank_stabilized": "1"}, 4.0),
        ({"lora_rs_lora": True}, 4.0),
        ({"rs_lora": "False"}, 0.5),
        ({"rs_lora": ["no switch"]}, 0.5),
    ],
)
def test_alpha_over_the_rank_or_its_root_is_the_scale(
    arguments: dict[str, Any], scale: float
) -> None:
    found = derived(network_alpha=32.0, network_dim=64, network_args=arguments)
    assert found["network_scale"] == scale
    assert found["alpha_ratio"] == 0.5


def test_without_a_rank_nothing_is_scaled() -> None:
    assert derived(network_alpha=16.0, network_dim=0, network_args={"rs_lora": "True"}) == {}


LOKR = Weights(tensor_algo="lokr")


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ({"network_algo": "lokr", "network_dim": 64}, LOKR),
        ({"network_algo": "dora", "network_args": {"algo": "lokr"}}, Weights(tensor_algo="dora")),
        ({"network_dim": 64}, LOKR),
        ({"network_algo": "lokr", "network_args": {"full_matrix": "True"}}, Weights()),
        ({"network_algo": "lokr", "network_args": {"lokr_full_matrix": True}}, Weights()),
        ({"network_algo": "lokr", "network_dim": 10_000, "network_alpha": 1.0}, Weights()),
    ],
)
def test_a_lokr_of_full_matrices_is_not_scaled(values: dict[str, Any], weights: Weights) -> None:
    found, _ = derive(values, (), weights)
    assert found["network_scale"] == 1.0
    assert found["alpha_ratio"] is None


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        # Its factors are narrower than the rank, or they are not all.
        ({"network_algo": "lokr", "network_dim": 8}, Weights()),
        ({"network_algo": "lokr", "network_dim": 8}, Weights(tensor_algo="lokr", tensor_rank=8)),
        ({"network_algo": "lora", "network_dim": 8}, Weights(tensor_algo="lora", tensor_rank=8)),
    ],
)
def test_a_network_with_a_rank_is_scaled(values: dict[str, Any], weights: Weights) -> None:
    found, _ = derive({**values, "network_alpha": 4.0}, (), weights)
    assert (found["network_scale"], found["alpha_ratio"]) == (0.5, 0.5)


def test_the_megapixels_are_those_of_all_datasets_by_their_images() -> None:
    small = Dataset(
        number=0, batch_size=2, resolution_width=512, resolution_height=512, num_train_images=300
    )
    wide = Dataset(
        number=1, batch_size=2, resolution_width=1024, resolution_height=768, num_train_images=100
    )
    found = derived(small, wide, steps=100, resolution_width=512, resolution_height=512)
    assert found["megapixels_seen"] == 200 * (3 * 512 * 512 + 1024 * 768) / 4 / 1e6

    uncounted = Dataset(number=1, batch_size=2, resolution_width=1024, resolution_height=768)
    assert "megapixels_seen" not in derived(small, uncounted, steps=100, resolution=512.0)


def test_batches_of_several_sizes_are_counted_by_the_run_when_datasets_are_not() -> None:
    datasets = Dataset(number=0, batch_size=8), Dataset(number=1, batch_size=2)
    run = {"num_train_images": 96, "batches_per_epoch": 24}
    assert derived(*datasets, **run, steps=50)["images_seen"] == 200
    assert derived(*datasets, **run, steps=25, gradient_accumulation_steps=2)["images_seen"] == 200


def test_musubi_tuner_trains_no_text_encoder() -> None:
    found = derived(trainer=Trainer.MUSUBI_TUNER, learning_rate=2e-4)
    assert found == {"effective_unet_lr": 2e-4}


def test_what_is_beyond_64_bits_is_dropped_and_named() -> None:
    found, noted = derive(
        {"steps": 2**62, "total_batch_size": 2**62, "resolution": 1.0}, (), Weights()
    )
    assert found["images_seen"] is None
    assert found["images_seen_is_lower_bound"] is None
    assert "megapixels_seen" not in found
    assert [(one.code, one.field) for one in noted] == [(problems.OUT_OF_RANGE, "images_seen")]

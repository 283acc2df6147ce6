"""The sentences of a page."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from crawler.answers.lora import LoraView, Usual
from crawler.answers.outcomes import FLEET_REMEDIES, REMEDIES, SANDBOX_REMEDIES
from crawler.answers.prose import sentences
from crawler.cli.output.console import open_console
from crawler.cli.pages.lora import print_lora
from crawler.model import Outcome, Problem
from crawler.model.outcome import READ

STORIES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"trainer": "merge-tool"}, ["Made by a tool that merges, extracts or resizes LoRAs."]),
    (
        {
            "steps": 1010,
            "batch_size": 2,
            "image_count": 40,
            "mean_repeats": 5.0,
            "images_seen": 2020,
            "images_seen_is_lower_bound": False,
            "training_seconds": 656.277,
        },
        [
            (
                "1,010 steps of batch 2 over 40 images repeated 5 times: "
                "about 2,020 images seen in 11 minutes."
            )
        ],
    ),
    (
        {"steps": 1, "epoch": 1, "num_epochs": 10, "image_count": 1, "mean_repeats": 1.0},
        ["1 step (epoch 1 of 10) over 1 image."],
    ),
    (
        {"num_epochs": 3, "batch_size": 4, "gradient_accumulation_steps": 2},
        ["3 epochs of 2 batches of 4."],
    ),
    (
        {"steps": 9, "batch_size": 2, "total_batch_size": 8, "mean_repeats": 2.5, "image_count": 7},
        ["9 steps of batch 8 (2 on each device) over 7 images repeated 2.5 times on average."],
    ),
    (
        {"images_seen": 7, "images_seen_is_lower_bound": True},
        ["At least 7 images seen."],
    ),
    (
        {"num_train_images": 30, "resolution_width": 512, "resolution_height": 768},
        ["Over 30 images, repeats included at 512 by 768 px."],
    ),
    (
        {
            "trainer": "kohya",
            "trainer_version": "0123456789abcdef0123456789abcdef01234567",
            "sd_model_name": "harbour.safetensors",
            "training_finished_at": datetime(2024, 5, 6, tzinfo=UTC),
        },
        ["Trained by kohya's sd-scripts 01234567 on harbour.safetensors (2024-05-06)."],
    ),
    ({"trainer": "something new"}, ["Trained by something new."]),
    (
        {
            "effective_unet_lr": 5e-05,
            "effective_text_encoder_lr": 1e-05,
            "trains_text_encoder": True,
            "optimizer": "Prodigy",
            "lr_scheduler": "cosine",
        },
        [
            (
                "Learning rate 5e-5 for the image model and 1e-5 for the text encoder, "
                "optimizer Prodigy, schedule cosine."
            )
        ],
    ),
    (
        {
            "effective_unet_lr": 1.0,
            "effective_text_encoder_lr": 1.0,
            "trains_text_encoder": False,
        },
        ["Learning rate 1 for the image model."],
    ),
]


@pytest.mark.parametrize(("row", "told"), STORIES)
def test_the_story_says_what_is_known(row: dict[str, Any], told: list[str]) -> None:
    assert sentences(row) == told


def test_contradictions_stand_beside_the_settings_and_not_among_the_problems() -> None:
    said = Problem(
        "contradicted", "network_dim", "the metadata says rank 8, the tensors have rank 4"
    )
    text = page(LoraView(title="a", row={"outcome": "decoded", "steps": 1}, problems=[said]), 80)
    assert "  ! the metadata says rank 8, the tensors have rank 4\n" in text
    assert "Problems" not in text


def test_every_outcome_without_a_header_has_a_remedy() -> None:
    for remedies in (REMEDIES, SANDBOX_REMEDIES, FLEET_REMEDIES):
        assert set(remedies) == set(Outcome) - READ


def page(view: LoraView, width: int, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    console = open_console(stream)
    console.width = width
    print_lora(console, view)
    stream.seek(0)
    return stream.read()


VIEW = LoraView(
    title="猫" * 90,
    row={
        "outcome": "decoded",
        "network_dim": 32,
        "steps": 100,
        "seed": 1234567,
        "v2": False,
        "optimizer_args": {"weight_decay": 0.1, "betas": [0.9, 0.99]},
        "other_settings": {f"key_{number}": "x" * 2000 for number in range(100)},
    },
    tags={"folder": {f"tag {number}": number for number in range(100)}},
    problems=[Problem("not_a_number", "noise_offset", "“a lot” is no number")] * 50,
    usual={"network_dim": Usual(9, 8.0, 16.0, 16.0), "steps": Usual(9, 50.0, 50.0, 50.0)},
    compared_with="Pony",
)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_a_page_keeps_to_the_width(width: int) -> None:
    text = page(VIEW, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "and 70 more: --json has all" in text
    assert "and 80 more: --json has all" in text
    assert "and 30 more: --json has all" in text


def test_numbers_and_their_neighbours() -> None:
    lines = [" ".join(line.split()) for line in page(VIEW, 160).splitlines()]
    assert "network_dim 32 16 8\N{EN DASH}16 rank: width of the added layers" in lines
    assert "steps 100 50 optimizer steps done when the file was saved" in lines
    assert "seed 1234567 random seed" in lines
    assert "v2 no the base model is Stable Diffusion 2" in lines
    assert "optimizer_args weight_decay 0.1, betas [0.9,0.99] arguments of the optimizer" in lines


def test_an_output_without_blocks_gets_plain_signs() -> None:
    text = page(VIEW, 80, encoding="ascii")
    assert "tag 99  99  ########################" in text
    assert "█" not in text


@pytest.mark.parametrize(("no_colour", "shown"), [("", True), ("1", False)])
def test_a_colour_is_explained_where_there_are_colours(
    monkeypatch: pytest.MonkeyPatch, no_colour: str, *, shown: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", no_colour)

    text = page(VIEW, 160)

    assert ("A number outside the IQR is yellow." in text) is shown
    assert ("\x1b[33m32" in text) is shown
    assert "\x1b[33m1234567" not in text

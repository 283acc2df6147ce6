"""Recipes in the formats of other trainers, read back as those trainers read them."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import UsageError
from crawler.insight.export import Format
from crawler.insight.export.carried import Written
from crawler.insight.export.draft import Kind, report_text
from crawler.insight.export.formats import write
from crawler.insight.export.recipe import export
from crawler.model import Decoded, Recipe
from tests.insight.export import trainers
from tests.insight.export.test_round_trip import GOLDEN, KEYS, VALUES
from tests.insight.files import FOLDERS, LANTERN, decoded_of, made_of

OTHERS = [form for form in Format if form is not Format.SD_SCRIPTS]

#: What a run of any of these trainers can have; everything in it is made up.
FLOW: Mapping[str, Any] = {
    **LANTERN,
    "ss_base_model_version": "flux1",
    "ss_network_module": "networks.lora_flux",
    "ss_network_alpha": "16.0",
    "ss_timestep_sampling": "shift",
    "ss_discrete_flow_shift": "3.1582",
    "ss_sigmoid_scale": "1.5",
    "ss_guidance_scale": "1.0",
    "ss_model_prediction_type": "raw",
    "ss_text_encoder_lr": "[0.0, 0.0]",
    "ss_max_grad_norm": "0.0",
}


def texts_of(decoded: Decoded, form: Format) -> tuple[dict[str, str], Written]:
    written = write(export(decoded), "a file", form)
    return dict(written.files), written


def read(files: Mapping[str, str], form: Format) -> dict[str, Any]:
    """The settings as the trainer reads them; fails where it would not take them."""
    match form:
        case Format.KOHYA_SS:
            assert list(files) == ["kohya_ss.json", "dataset.toml"]
            return trainers.read_kohya_gui(files["kohya_ss.json"])
        case Format.ONETRAINER:
            assert list(files) == ["onetrainer.json", "concepts.json"]
            return trainers.read_onetrainer(files["onetrainer.json"], files["concepts.json"])
        case _:
            assert list(files) == ["ai-toolkit.yaml"]
            return trainers.read_ai_toolkit(files["ai-toolkit.yaml"])


def carried(form: Format, base: Mapping[str, Any] = LANTERN, /, **changes: Any) -> dict[str, Any]:
    metadata = {**base, **{f"ss_{name}": value for name, value in changes.items()}}
    files, _ = texts_of(decoded_of(metadata), form)
    return read(files, form)


def lost(form: Format, base: Mapping[str, Any] = LANTERN, /, **changes: Any) -> dict[str, str]:
    metadata = {**base, **{f"ss_{name}": value for name, value in changes.items()}}
    _, written = texts_of(decoded_of(metadata), form)
    assert report_text(written.notes)
    return {note.subject: note.text for note in written.notes if note.kind is Kind.NOT_CARRIED}


@pytest.mark.parametrize("form", OTHERS)
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_trainer_takes_the_recipe_of_every_other(path: Any, form: Format) -> None:
    decoded = decoded_of(json.loads(path.read_text(encoding="utf-8"))["metadata"])
    try:
        files, written = texts_of(decoded, form)
    except UsageError:
        return
    read(files, form)
    assert [note.kind for note in written.notes] == sorted(
        (note.kind for note in written.notes), key=list(Kind).index
    )


RICH = {
    "lr_scheduler": "cosine_with_restarts", "lr_scheduler_num_cycles": "3",
    "gradient_accumulation_steps": "2", "noise_offset": "0.05", "min_snr_gamma": "5.0",
    "network_dropout": "0.1", "scale_weight_norms": "1.0", "max_grad_norm": "0.0",
    "gradient_checkpointing": "True", "cache_latents": "True", "clip_skip": "2",
    "zero_terminal_snr": "True", "ip_noise_gamma": "0.1", "lowram": "True", "seed": "0",
    "caption_dropout_rate": "0.1", "caption_tag_dropout_rate": "0.2", "loss_type": "l1",
    "prior_loss_weight": "0.5", "max_token_length": "225",
}  # fmt: skip


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (LANTERN, {}),
        (FOLDERS, {}),
        (LANTERN, RICH),
        (FOLDERS, RICH),
        (LANTERN, {"lr_warmup_steps": "37"}),
        (LANTERN, {"lr_warmup_steps": "0.05", "max_train_steps": "None"}),
        (LANTERN, {"lr_warmup_steps": "0.025", "max_train_steps": "None"}),
        (LANTERN, {"multires_noise_iterations": "6", "multires_noise_discount": "0.0"}),
        (LANTERN, {"multires_noise_iterations": "6", "noise_offset": "0.1"}),
        (LANTERN, {"noise_offset": "1.5", "adaptive_noise_scale": "-0.25"}),
        (LANTERN, {"optimizer": "pytorch_optimizer.optimizer.came.CAME(weight_decay=0.1)"}),
        (LANTERN, {"text_encoder_lr": "0.0"}),
        (LANTERN, {"text_encoder_lr": "None", "unet_lr": "None"}),
        (LANTERN, {"unet_lr": "0.0"}),
        (
            {**LANTERN, "ss_base_model_version": "sdxl_base_v1-0"},
            {"text_encoder_lr": "[1e-5, 2e-5]"},
        ),
        (FLOW, {}),
    ],
)
def test_the_gui_starts_sd_scripts_with_the_same_options(
    base: Mapping[str, Any], changes: Mapping[str, str]
) -> None:
    metadata = {**base, **{f"ss_{name}": value for name, value in changes.items()}}
    decoded = decoded_of(metadata)
    made = made_of(decoded)
    files, written = texts_of(decoded, Format.KOHYA_SS)
    values = read(files, Format.KOHYA_SS)
    back = trainers.as_sd_scripts(values)

    assert (
        files["dataset.toml"]
        == dict(write(made.recipe, "a file", Format.SD_SCRIPTS).files)["dataset.toml"]
    )
    assert not [note for note in written.notes if note.kind is Kind.NOT_CARRIED]
    told = dict(made.config)
    rate = told.pop("learning_rate")
    unet = told.pop("unet_lr", rate)
    encoders = told.pop("text_encoder_lr", rate)
    encoders = encoders if isinstance(encoders, list) else [encoders]
    assert back.get("learning_rate", 0) == rate
    assert back.get("unet_lr", 0) == unet
    assert back.get("text_encoder_lr", [0, 0]) == [encoders[0], encoders[-1]]
    assert back["network_train_unet_only"] is (encoders[0] == 0)
    assert values["LoRA_type"] == ("Flux1" if base is FLOW else "Standard")
    for name in ("network_module", "network_train_unet_only", "dataset_config"):
        told.pop(name, None)
    for name, value in told.items():
        if name == "optimizer_args":
            assert back[name] == [one.replace(", ", ",") for one in value]
        elif value is False or (value == 0 and name not in {"seed", "max_grad_norm"}):
            assert not back.get(name)
        elif name != "multires_noise_discount" or told.get("multires_noise_iterations"):
            assert back[name] == value, name


def test_the_gui_has_a_field_for_each_argument_of_lycoris() -> None:
    values = carried(
        Format.KOHYA_SS,
        network_module="lycoris.kohya",
        network_args='{"algo": "lokr", "conv_dim": "8", "conv_alpha": "4", "factor": "16", '
        '"preset": "attn-mlp", "use_tucker": "True", "dora_wd": "True", "module_dropout": "0.1"}',
    )
    assert values["LoRA_type"] == "LyCORIS/LoKr"
    assert (values["conv_dim"], values["conv_alpha"], values["factor"]) == (8, 4, 16)
    assert values["LyCORIS_preset"] == "attn-mlp"
    assert values["use_tucker"] is values["dora_wd"] is True
    assert values["module_dropout"] == 0.1
    # LyCORIS itself takes the rank of the other layers where a run names none.
    plain = carried(
        Format.KOHYA_SS, network_module="lycoris.kohya", network_args='{"algo": "loha"}'
    )
    assert (plain["LoRA_type"], plain["conv_dim"], plain["conv_alpha"]) == ("LyCORIS/LoHa", 16, 8)


def test_convolutions_decide_the_type_in_the_gui() -> None:
    values = carried(Format.KOHYA_SS, network_args='{"conv_dim": "4", "conv_alpha": "1"}')
    assert (values["LoRA_type"], values["conv_dim"]) == ("Kohya LoCon", 4)


def of_onetrainer(decoded: Decoded) -> Recipe:
    """The recipe of a LoRA that OneTrainer would train with our files."""
    files, _ = texts_of(decoded, Format.ONETRAINER)
    settings = read(files, Format.ONETRAINER)
    return decoded_of({"ot_branch": "master", "ot_config": json.dumps(settings)}).recipe


#: Settings that come back from OneTrainer as they were.
SAME_IN_ONETRAINER = (
    "network_dim", "network_alpha", "network_dropout", "optimizer", "num_epochs", "batch_size",
    "gradient_accumulation_steps", "lr_warmup_steps", "lr_warmup_ratio", "noise_offset",
    "min_snr_gamma", "zero_terminal_snr", "gradient_checkpointing", "cache_latents", "clip_skip",
    "mixed_precision", "shuffle_caption", "flip_aug", "caption_tag_dropout_rate",
    "caption_dropout_rate", "output_name", "loss_type",
)  # fmt: skip


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (LANTERN, {}),
        (FOLDERS, {}),
        (LANTERN, {**RICH, "max_grad_norm": "0.5"}),
        (FOLDERS, {**RICH, "max_grad_norm": "0.5"}),
        (LANTERN, {"lr_warmup_steps": "0.05"}),
        (LANTERN, {"text_encoder_lr": "0.0"}),
    ],
)
def test_the_settings_of_onetrainer_come_back(
    base: Mapping[str, Any], changes: Mapping[str, str]
) -> None:
    metadata = {**base, **{f"ss_{name}": value for name, value in changes.items()}}
    decoded = decoded_of(metadata)
    told, back = decoded.recipe, of_onetrainer(decoded)
    for name in SAME_IN_ONETRAINER:
        value = getattr(told, name)
        assert not value or getattr(back, name) == value, name
    assert back.unet_lr == told.unet_lr
    assert back.text_encoder_lr == told.text_encoder_lr
    args = dict(back.optimizer_args or {})
    assert (args["weight_decay"], args["beta1"], args["beta2"]) == (0.1, 0.9, 0.99)
    assert back.base_model_version == "STABLE_DIFFUSION_15"
    folders = decoded_of(metadata).directories
    trained = [one.repeats for one in folders if not one.is_reg]
    settings = read(texts_of(decoded, Format.ONETRAINER)[0], Format.ONETRAINER)
    assert [one["balancing"] for one in settings["concepts"]] == trained


def test_onetrainer_has_its_own_words_for_flow_matching() -> None:
    settings = carried(Format.ONETRAINER, FLOW)
    assert settings["model_type"] == "FLUX_DEV_1"
    assert settings["timestep_distribution"] == "LOGIT_NORMAL"
    assert (settings["timestep_shift"], settings["noising_weight"]) == (3.1582, 0.5)
    assert settings["dynamic_timestep_shifting"] is False
    assert settings["transformer"]["guidance_scale"] == 1.0
    assert settings["text_encoder"]["train"] is settings["text_encoder_2"]["train"] is False
    assert settings["clip_grad_norm"] is None
    assert settings["layer_filter"] == "transformer_block"
    uniform = carried(Format.ONETRAINER, FLOW, timestep_sampling="uniform")
    assert (uniform["timestep_distribution"], uniform["timestep_shift"]) == ("UNIFORM", 1.0)
    assert carried(Format.ONETRAINER, FLOW, timestep_sampling="flux_shift")[
        "dynamic_timestep_shifting"
    ]


def test_onetrainer_trains_t5_only_where_sd_scripts_did() -> None:
    run = {"text_encoder_lr": "[1e-5, 2e-5]", "base_model_version": "flux1"}
    settings = carried(Format.ONETRAINER, FLOW, **run)
    assert settings["text_encoder"]["learning_rate"] == 1e-5
    assert settings["text_encoder_2"]["train"] is False
    both = carried(Format.ONETRAINER, FLOW, **run, network_args='{"train_t5xxl": "True"}')
    assert both["text_encoder_2"]["learning_rate"] == 2e-5


def test_each_text_encoder_has_its_rate_in_onetrainer() -> None:
    settings = carried(
        Format.ONETRAINER, base_model_version="sdxl_base_v1-0", text_encoder_lr="[1e-5, 0.0]"
    )
    assert settings["model_type"] == "STABLE_DIFFUSION_XL_10_BASE"
    assert settings["text_encoder"]["learning_rate"] == 1e-5
    assert settings["text_encoder_2"]["train"] is False
    assert settings["text_encoder"]["stop_training_after_unit"] == "NEVER"


@pytest.mark.parametrize(
    ("optimizer", "name", "arguments"),
    [
        ("prodigyopt.prodigy.Prodigy(d_coef=2.0)", "PRODIGY", {"decouple": True, "d_coef": 2.0}),
        ("prodigyopt.prodigy.Prodigy(decouple=False)", "PRODIGY", {"decouple": False}),
        ("prodigyopt.prodigy.Prodigy(growth_rate=inf)", "PRODIGY", {}),
        ("transformers.optimization.Adafactor(relative_step=False,eps=(1e-30, 0.001))", "ADAFACTOR",
         {"relative_step": False, "scale_parameter": True, "eps": 1e-30, "eps2": 0.001}),
        ("bitsandbytes.optim.adamw.PagedAdamW8bit", "ADAMW_8BIT", {"is_paged": True, "block_wise": True}),
        ("torch.optim.sgd.SGD(momentum=0.9,nesterov=True)", "SGD", {"momentum": 0.9, "nesterov": True}),
        ("torch.optim.sgd.SGD(momentum=0.9,nesterov=False)", "SGD", {"nesterov": False}),
        ("lion_pytorch.lion_pytorch.Lion", "LION", {}),
    ],
)  # fmt: skip
def test_optimizers_of_onetrainer(optimizer: str, name: str, arguments: dict[str, Any]) -> None:
    settings = carried(Format.ONETRAINER, optimizer=optimizer)["optimizer"]
    assert settings["optimizer"] == name
    assert settings["stochastic_rounding"] is False
    assert {key: settings.get(key) for key in arguments} == arguments


@pytest.mark.parametrize(
    ("module", "args", "expected"),
    [
        ("networks.lora", "{}", {"peft_type": "LORA", "layer_filter": "attentions"}),
        ("networks.lora", '{"conv_dim": "16", "conv_alpha": "8"}',
         {"peft_type": "LORA", "layer_filter": ""}),
        ("lycoris.kohya", '{"algo": "loha"}', {"peft_type": "LOHA", "lora_rank": 16}),
        ("lycoris.kohya", '{"algo": "lokr", "factor": "8"}',
         {"peft_type": "LOKR", "lokr_dim": 16, "lokr_decompose_factor": 8}),
        ("lycoris.kohya", '{"algo": "locon", "dora_wd": "True"}', {"lora_decompose": True}),
    ],
)  # fmt: skip
def test_networks_of_onetrainer(module: str, args: str, expected: dict[str, Any]) -> None:
    settings = carried(Format.ONETRAINER, network_module=module, network_args=args)
    assert {name: settings.get(name) for name in expected} == expected


def test_the_settings_of_ai_toolkit_come_back() -> None:
    process = carried(
        Format.AI_TOOLKIT, FOLDERS, **{**RICH, "max_grad_norm": "0.5"},
        network_args='{"conv_dim": "8", "conv_alpha": "4"}',
    )  # fmt: skip
    assert process["name"] == "lantern"
    assert process["network"] == {
        "type": "lora", "linear": 16, "linear_alpha": 8, "dropout": 0.1, "conv": 8, "conv_alpha": 4,
    }  # fmt: skip
    assert process["model"] == {"name_or_path": "REPLACE_ME/harbour.safetensors", "arch": "sd1"}
    train = process["train"]
    assert train == {
        "batch_size": 4, "steps": 600, "gradient_accumulation": 2, "train_unet": True,
        "train_text_encoder": True, "lr": 0.0003, "optimizer": "adamw8bit",
        "optimizer_params": {"weight_decay": 0.1, "betas": [0.9, 0.99]},
        "lr_scheduler": "cosine_with_restarts", "max_grad_norm": 0.5,
        "gradient_checkpointing": True, "dtype": "bf16", "noise_scheduler": "ddpm",
        "loss_type": "mae", "noise_offset": 0.05, "min_snr_gamma": 5.0, "reg_weight": 0.5,
        "disable_sampling": True,
    }  # fmt: skip
    night, lamp = process["datasets"]
    assert night == {
        "folder_path": "REPLACE_ME/6_lantern night", "caption_ext": ".txt", "num_repeats": 6,
        "default_caption": "lantern night", "caption_dropout_rate": 0.1, "token_dropout_rate": 0.2,
        "keep_tokens": 2, "flip_x": True, "resolution": 627, "buckets": False,
        "cache_latents": True,
    }  # fmt: skip
    assert lamp["is_reg"] is True


def test_convolutions_without_a_rank_have_that_of_the_other_layers_in_lycoris() -> None:
    lycoris = {"network_module": "lycoris.kohya", "network_args": '{"algo": "lokr", "factor": "8"}'}
    network = carried(Format.AI_TOOLKIT, **lycoris)["network"]
    assert network == {
        "type": "lokr", "linear": 16, "linear_alpha": 8, "conv": 16, "conv_alpha": 8,
        "lokr_factor": 8,
    }  # fmt: skip
    assert carried(Format.ONETRAINER, **lycoris)["layer_filter"] == ""
    assert (
        "1" in lost(Format.ONETRAINER, network_args='{"conv_dim": "16"}')["network_args.conv_alpha"]
    )


def test_ai_toolkit_has_its_own_words_for_flow_matching() -> None:
    process = carried(Format.AI_TOOLKIT, FLOW, timestep_sampling="sigmoid", sigmoid_scale="1.0")
    assert process["model"]["arch"] == "flux"
    assert process["train"]["noise_scheduler"] == process["sample"]["sampler"] == "flowmatch"
    assert process["train"]["timestep_type"] == "sigmoid"
    assert process["train"]["train_text_encoder"] is False
    assert "max_grad_norm" not in process["train"]
    assert process["network"]["linear_alpha"] == 16


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", {"lr_scheduler": "linear",
                    "lr_scheduler_params": {"start_factor": 1.0, "end_factor": 0.0}}),
        ("constant_with_warmup", {"lr_scheduler": "constant_with_warmup",
                                  "lr_scheduler_params": {"num_warmup_steps": 60}}),
        ("constant", {"lr_scheduler": "constant"}),
    ],
)  # fmt: skip
def test_schedules_of_ai_toolkit(schedule: str, expected: dict[str, Any]) -> None:
    train = carried(Format.AI_TOOLKIT, lr_scheduler=schedule)["train"]
    assert {name: train[name] for name in train if name.startswith("lr_")} == expected


@pytest.mark.parametrize(
    ("form", "changes", "subject", "value"),
    [
        (Format.KOHYA_SS, {"network_args": '{"loraplus_lr_ratio": "16"}'},
         "network_args.loraplus_lr_ratio", "16"),
        (Format.KOHYA_SS, {"network_module": "networks.lora_lumina"}, "network_module", "lora_lumina"),
        (Format.KOHYA_SS, {"text_encoder_lr": "[1e-5, 0.0]"}, "text_encoder_lr", "1e-5, 0.0"),
        (Format.ONETRAINER, {"seed": "42"}, "seed", "42"),
        (Format.ONETRAINER, {"lr_scheduler": "polynomial"}, "lr_scheduler", "polynomial"),
        (Format.ONETRAINER, {"scale_weight_norms": "1.0"}, "scale_weight_norms", "1.0"),
        (Format.ONETRAINER, {"ip_noise_gamma": "0.1"}, "ip_noise_gamma", "0.1"),
        (Format.ONETRAINER, {"loss_type": "huber", "huber_c": "0.2"}, "huber_c", "0.2"),
        (Format.ONETRAINER, {"multires_noise_iterations": "6"}, "multires_noise_iterations", "6"),
        (Format.ONETRAINER, {"network_args": '{"conv_dim": "4"}'}, "network_args.conv_dim", "4"),
        (Format.ONETRAINER, {"network_module": "networks.dylora"}, "network_module", "dylora"),
        (Format.ONETRAINER, {"optimizer": "dadaptation.dadapt_adan_ip.DAdaptAdanIP(d0=1e-05)"},
         "optimizer_type", "DAdaptAdanIP"),
        (Format.AI_TOOLKIT, {"lr_scheduler": "cosine_with_restarts", "lr_scheduler_num_cycles": "3"},
         "lr_scheduler_num_cycles", "3"),
        (Format.AI_TOOLKIT, {}, "text_encoder_lr", "5e-5"),
        (Format.AI_TOOLKIT, {}, "lr_warmup_steps", "60"),
        (Format.AI_TOOLKIT, {"clip_skip": "2"}, "clip_skip", "2"),
        (Format.AI_TOOLKIT, {"zero_terminal_snr": "True"}, "zero_terminal_snr", "true"),
        (Format.AI_TOOLKIT, {"lr_scheduler": "polynomial"}, "lr_scheduler", "polynomial"),
        (Format.AI_TOOLKIT, {"optimizer": "torch.optim.adamw.AdamW(eps=1e-08)"},
         "optimizer_args.eps", "1e-08"),
        (Format.AI_TOOLKIT, {"optimizer": "prodigyopt.prodigy.Prodigy", "unet_lr": "0.05"},
         "learning_rate", "0.05"),
        (Format.AI_TOOLKIT, {"network_module": "lycoris.kohya", "network_args": '{"algo": "loha"}'},
         "network_module", "algo=loha"),
        (Format.AI_TOOLKIT, {"max_bucket_reso": "2048"}, "max_bucket_reso", "1024"),
        (Format.AI_TOOLKIT, {"base_model_version": "flux1"}, "network_alpha", "8.0"),
        (Format.AI_TOOLKIT, {"base_model_version": "flux1", "guidance_scale": "3.5"},
         "guidance_scale", "3.5"),
    ],
)  # fmt: skip
def test_what_a_trainer_does_not_have_is_named_with_its_value(
    form: Format, changes: dict[str, str], subject: str, value: str
) -> None:
    assert value in lost(form, **changes)[subject]


def test_what_is_off_or_has_no_effect_is_not_lost() -> None:
    off = {
        "multires_noise_discount": "0.3", "huber_c": "0.1", "huber_schedule": "snr",
        "prior_loss_weight": "1.0", "scale_weight_norms": "0.0", "loss_type": "l2",
        "ip_noise_gamma_random_strength": "True", "debiased_estimation": "False",
        "lr_scheduler_num_cycles": "3", "lr_scheduler_power": "2.0", "clip_skip": "1",
    }  # fmt: skip
    for form in (Format.ONETRAINER, Format.AI_TOOLKIT):
        assert lost(form, **off).keys() == lost(form).keys()


@pytest.mark.parametrize("form", OTHERS)
def test_a_base_model_that_the_trainer_does_not_train(form: Format) -> None:
    metadata = {**LANTERN, "ss_base_model_version": "kandinsky5"}
    files, written = texts_of(decoded_of(metadata), form)
    read(files, form)
    (text,) = (note.text for note in written.notes if note.subject == "trainer")
    assert "does not train kandinsky5" in text


def test_bases_that_only_other_trainers_train() -> None:
    for base, kind, arch in (
        ("qwen_image", "QWEN", "qwen_image"),
        ("z_image", "Z_IMAGE", "zimage"),
    ):
        metadata = {
            **LANTERN,
            "ss_base_model_version": base,
            "ss_network_module": f"networks.lora_{base}",
        }
        assert carried(Format.ONETRAINER, metadata)["model_type"] == kind
        assert carried(Format.AI_TOOLKIT, metadata)["model"]["arch"] == arch


def test_steps_and_epochs_follow_from_each_other() -> None:
    folders = {**FOLDERS, "ss_max_train_steps": "None", "ss_reg_dataset_dirs": {}}
    # 20 images, 6 repeats, 4 in a batch: 30 batches.
    assert carried(Format.AI_TOOLKIT, folders)["train"]["steps"] == 300
    steps = {**folders, "ss_num_epochs": "None", "ss_max_train_steps": "300"}
    assert carried(Format.ONETRAINER, steps)["epochs"] == 10
    unknown = {**LANTERN, "ss_num_epochs": "None", "ss_datasets": "None"}
    assert "600" in lost(Format.ONETRAINER, unknown)["max_train_steps"]


HOSTILE = (
    'x"\n\u202e\u2028: &a !!python/object/apply:os.system ["id"] ${HOME} $(id) # \x1b\U0001f600'
)


@pytest.mark.parametrize("form", OTHERS)
def test_hostile_texts_stay_texts(form: Format) -> None:
    folders = {f"3_{HOSTILE}": {"n_repeats": 3, "img_count": 2}}
    metadata = {
        **FOLDERS,
        "ss_output_name": f"/etc/../{HOSTILE}",
        "ss_training_comment": HOSTILE,
        "ss_sd_model_name": f"C:\\models\\{HOSTILE}",
        "ss_vae_name": "/home/someone/vae.safetensors",
        "ss_dataset_dirs": folders,
        "ss_network_args": {"preset": HOSTILE, HOSTILE: HOSTILE},
        "ss_optimizer": f"torch.optim.AdamW(a b={HOSTILE})",
        "ss_lr_scheduler": HOSTILE,
        "ss_seed": "9" * 40,
        "ss_network_alpha": "1e999",
    }
    files, written = texts_of(decoded_of(metadata), form)
    read(files, form)
    shown = "".join(files.values())
    assert all(one.isprintable() or one == "\n" for one in shown)
    assert "someone" not in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", report_text(written.notes))


def test_a_text_in_yaml_is_the_same_text() -> None:
    metadata = {
        **FOLDERS,
        "ss_dataset_dirs": {
            f"3_{HOSTILE}": {"n_repeats": 3, "img_count": 2},
            "1_no": {"n_repeats": 1},
        },
        "ss_reg_dataset_dirs": {},
    }
    first, second = carried(Format.AI_TOOLKIT, metadata)["datasets"]
    assert first["default_caption"] == HOSTILE
    assert second["default_caption"] == "no"  # YAML 1.1 takes a bare no for false


def test_numbers_in_yaml_are_numbers() -> None:
    train = carried(Format.AI_TOOLKIT, unet_lr="1e-05", text_encoder_lr="0")["train"]
    assert train["lr"] == 1e-05
    assert train["train_text_encoder"] is False


def test_the_evidence_of_a_suggestion_stays_beside_its_value() -> None:
    made = export(decoded_of(LANTERN))
    sections = tuple(
        replace(
            section, options=tuple(replace(one, remark="7 ${X} LoRAs") for one in section.options)
        )
        for section in made.config
    )
    ((_, text),) = write(replace(made, config=sections), "a ${test}\n", Format.AI_TOOLKIT).files
    assert "        linear: 16  # 7 $ {X} LoRAs\n" in text
    assert yaml.safe_load(text)["config"]["name"] == "lantern"
    trainers.read_ai_toolkit(text)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_whatever_a_key_holds_each_trainer_takes_the_recipe(changes: dict[str, str]) -> None:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in LANTERN.items()}
    decoded = decoded_of({**texts, **changes})
    try:
        recipe = export(decoded)
    except UsageError:
        return
    for form in OTHERS:
        written = write(recipe, "a\nfile\x7f${X}", form)
        read(dict(written.files), form)
        report_text(written.notes)

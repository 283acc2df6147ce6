"""What a recipe says, setting by setting."""

import pytest

from crawler.errors import UsageError
from crawler.insight.export.draft import Kind, config_text, report_text
from crawler.insight.export.recipe import MAX_PROBLEMS, export
from tests.insight.files import FOLDERS, LANTERN, decoded_of, recipe_of

ATTENTION = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"

#: A layer of Stable Diffusion 1, of rank 8, without a text encoder.
SD1 = {f"{ATTENTION}.lora_down.weight": (8, 768), f"{ATTENTION}.lora_up.weight": (320, 8)}


def test_without_a_module_and_a_rate_there_is_no_recipe() -> None:
    with pytest.raises(UsageError, match="neither a network module nor a learning rate"):
        export(decoded_of({"ss_network_dim": "16", "ss_seed": "1", "ss_optimizer": "a.B"}))


def test_a_module_alone_is_enough() -> None:
    made = recipe_of({"ss_network_module": "networks.lora"})
    assert made.config["network_module"] == "networks.lora"
    assert {"optimizer_type", "seed", "learning_rate"} <= made.notes(Kind.MISSING).keys()
    assert made.datasets[0]["subsets"][0]["image_dir"] == "REPLACE_ME/images"


@pytest.mark.parametrize(
    ("version", "script"),
    [
        ("sd_v1", "train_network.py"),
        ("sd_v2_v", "train_network.py"),
        ("sd_1.5", "train_network.py"),
        ("STABLE_DIFFUSION_15", "train_network.py"),
        ("sdxl_base_v1-0", "sdxl_train_network.py"),
        ("sdxl_", "sdxl_train_network.py"),
        ("stable-diffusion-xl-v1-base/lora", "sdxl_train_network.py"),
        ("sd3m", "sd3_train_network.py"),
        ("flux1", "flux_train_network.py"),
        ("Flux.1-dev/lora", "flux_train_network.py"),
        ("chroma", "flux_train_network.py"),
        ("lumina2", "lumina_train_network.py"),
        ("hunyuan-image-2.1", "hunyuan_image_train_network.py"),
        ("anima", "anima_train_network.py"),
    ],
)
def test_the_script_follows_from_the_base(version: str, script: str) -> None:
    made = recipe_of(LANTERN, base_model_version=version)
    assert made.recipe.script == script
    assert f"launch {script} --config_file config.toml" in config_text(made.recipe, "x")


@pytest.mark.parametrize(
    "version", ["wan", "flux_2_dev", "qwen_image", "chroma_radiance", "flux.3", "minimax_h3"]
)
def test_a_base_that_sd_scripts_does_not_train(version: str) -> None:
    made = recipe_of(LANTERN, base_model_version=version)
    assert made.recipe.script == ""
    assert "no script that trains" in made.notes(Kind.CONFLICT)["script"]
    assert "# sd-scripts has no script for this base model." in config_text(made.recipe, "x")


def test_the_tensors_are_believed_before_the_metadata() -> None:
    made = recipe_of(LANTERN, SD1, base_model_version="sdxl_base_v1-0")
    assert made.recipe.script == "train_network.py"
    assert "tensors fit sd1" in made.notes(Kind.CONFLICT)["base model"]


@pytest.mark.parametrize("version", [None, "sd_1.5"])
def test_an_unknown_transformer_is_not_taken_for_stable_diffusion(version: str | None) -> None:
    layer = "transformer.joint_transformer_blocks.0.attn.to_q"
    shapes = {f"{layer}.lora_A.weight": (8, 3072), f"{layer}.lora_B.weight": (3072, 8)}
    made = recipe_of(LANTERN, shapes, base_model_version=version, v2=None)
    assert made.recipe.script == ""
    assert "those of a transformer" in made.notes(Kind.CONFLICT)["base model"]


def test_the_base_by_the_tensors_by_the_module_and_by_age() -> None:
    old = recipe_of(LANTERN, base_model_version=None, v2="True")
    assert old.config["v2"] is True
    shapes = recipe_of(LANTERN, SD1, base_model_version=None, v2=None)
    assert shapes.recipe.script == "train_network.py"
    assert "sd1, by the shapes" in shapes.notes(Kind.ASSUMED)["base model"]
    flux = recipe_of(LANTERN, base_model_version=None, network_module="networks.lora_flux")
    assert flux.recipe.script == "flux_train_network.py"
    unknown = recipe_of({"ss_network_module": "networks.lora"})
    assert "Stable Diffusion 1" in unknown.notes(Kind.ASSUMED)["base model"]


def test_flux_keeps_its_own_settings_and_asks_for_its_files() -> None:
    extras = {
        "model_prediction_type": "raw", "guidance_scale": "1.0", "timestep_sampling": "sigmoid",
        "sigmoid_scale": "1.0", "discrete_flow_shift": "3.1582", "weighting_scheme": "none",
        "logit_mean": "0.0", "apply_t5_attn_mask": "True",
    }  # fmt: skip
    made = recipe_of(LANTERN, base_model_version="flux1", **extras)
    assert made.config["discrete_flow_shift"] == 3.1582
    assert made.config["apply_t5_attn_mask"] is True
    assert made.config["model_type"] == "flux"
    assert [made.config[name] for name in ("clip_l", "t5xxl", "ae")] == [
        "REPLACE_ME/clip_l",
        "REPLACE_ME/t5xxl",
        "REPLACE_ME/ae",
    ]
    assert made.notes(Kind.CONFLICT) == {}
    older = recipe_of(LANTERN, **extras)
    assert extras.keys().isdisjoint(older.config)
    assert extras.keys() <= older.notes(Kind.CONFLICT).keys()


def test_placeholders_end_in_what_is_known() -> None:
    made = recipe_of(
        LANTERN, sd_model_name="C:\\models\\harbour.ckpt", sd_model_hash="0a1b2c3d", vae_name="v.pt"
    )
    assert made.config["pretrained_model_name_or_path"] == "REPLACE_ME/harbour.ckpt"
    assert made.config["vae"] == "REPLACE_ME/v.pt"
    assert "AutoV1 0A1B2C3D" in made.notes(Kind.MISSING)["pretrained_model_name_or_path"]


def test_a_model_on_the_hub_needs_no_placeholder() -> None:
    made = recipe_of(LANTERN, sd_model_name="harbour/lantern-xl")
    assert made.config["pretrained_model_name_or_path"] == "harbour/lantern-xl"
    assert "Hugging Face" in made.notes(Kind.ASSUMED)["pretrained_model_name_or_path"]
    hashed = recipe_of(LANTERN, sd_model_name="harbour/lantern-xl", sd_model_hash="0a1b2c3d")
    assert hashed.config["pretrained_model_name_or_path"] == "REPLACE_ME/lantern-xl"


def test_a_resized_file_is_trained_as_it_was() -> None:
    comment = "dimension is resized from 128 to 16; by night"
    made = recipe_of(LANTERN, training_comment=comment)
    assert (made.config["network_dim"], made.config["network_alpha"]) == (128, 64.0)
    assert made.config["training_comment"] == "by night"
    assert {"network_dim", "network_alpha"} <= made.notes(Kind.ASSUMED).keys()


def test_rank_and_alpha_that_the_metadata_does_not_have() -> None:
    made = recipe_of(LANTERN, SD1, network_dim=None, network_alpha=None)
    assert (made.config["network_dim"], made.config["network_alpha"]) == (8, 8.0)
    meant = recipe_of(LANTERN, SD1, network_dim="None", network_alpha="None")
    assert {"network_dim", "network_alpha"}.isdisjoint(meant.config)
    dynamic = recipe_of(LANTERN, SD1, network_dim="Dynamic", network_alpha="Dynamic")
    assert dynamic.config["network_dim"] == 8


@pytest.mark.parametrize(
    ("args", "dropout", "written", "network_args"),
    [
        ({"conv_dim": "8", "dropout": 0.1}, "0.1", 0.1, ["conv_dim=8"]),
        ({"conv_dim": "8", "dropout": None}, "None", None, ["conv_dim=8"]),
        ({"dropout": "0.3"}, "None", None, ["dropout=0.3"]),
        ({"dropout": "0.3"}, "0.1", 0.1, ["dropout=0.3"]),
    ],
)
def test_dropout_is_written_where_it_was_given(
    args: dict[str, object], dropout: str, written: float | None, network_args: list[str]
) -> None:
    made = recipe_of(LANTERN, network_args=args, network_dropout=dropout)
    assert made.config.get("network_dropout") == written
    assert made.config["network_args"] == network_args


def test_an_argument_with_an_equals_sign_is_left_out_and_named() -> None:
    made = recipe_of(LANTERN, network_args={"preset": "a=b", "algo": "lokr"})
    assert made.config["network_args"] == ["algo=lokr"]
    assert "preset" in made.notes(Kind.CONFLICT)["network_args"]


@pytest.mark.parametrize(
    ("path", "name", "args"),
    [
        ("torch.optim.adamw.AdamW", "AdamW", None),
        ("bitsandbytes.optim.adamw.PagedAdamW8bit", "PagedAdamW8bit", None),
        ("lion_pytorch.lion_pytorch.Lion", "Lion", None),
        ("dadaptation.experimental.dadapt_adam_preprint.DAdaptAdamPreprint", "DAdaptation", None),
        ("schedulefree.adamw_schedulefree.AdamWScheduleFree", "AdamWScheduleFree", None),
        ("torch.optim.sgd.SGD(momentum=0.9)", "SGDNesterov", ["momentum=0.9"]),
        ("torch.optim.sgd.SGD(momentum=0.9,nesterov=True)", "SGDNesterov", ["momentum=0.9"]),
        ("torch.optim.sgd.SGD(dampening=0.1)", "torch.optim.sgd.SGD", ["dampening=0.1"]),
        ("pytorch_optimizer.tide.Tide(betas=(0.9, 0.99),name=high)", "pytorch_optimizer.tide.Tide",
         ["betas=(0.9, 0.99)", "name='high'"]),
        ("prodigyopt.prodigy.Prodigy(growth_rate=inf)", "Prodigy", ["growth_rate=1e999"]),
    ],
)  # fmt: skip
def test_optimizers_go_by_the_names_of_sd_scripts(
    path: str, name: str, args: list[str] | None
) -> None:
    made = recipe_of(LANTERN, optimizer=path)
    assert made.config["optimizer_type"] == name
    assert made.config.get("optimizer_args") == args


def test_kinds_of_rates_and_warmups() -> None:
    several = recipe_of(LANTERN, text_encoder_lr="[1e-05, 5e-05]", lr_warmup_steps="0.1")
    assert several.config["text_encoder_lr"] == [1e-05, 5e-05]
    assert several.config["lr_warmup_steps"] == 0.1
    one = recipe_of(LANTERN, text_encoder_lr="[0.0]", unet_lr="0")
    assert (one.config["text_encoder_lr"], one.config["unet_lr"]) == (0.0, 0.0)
    assert isinstance(recipe_of(LANTERN).config["lr_warmup_steps"], int)
    assert "text_encoder_lr" not in recipe_of(LANTERN, text_encoder_lr="[]").config


def test_a_text_encoder_without_tensors_was_not_trained() -> None:
    assert recipe_of(LANTERN, SD1).config["network_train_unet_only"] is True
    off = recipe_of(LANTERN, SD1, text_encoder_lr="0.0")
    assert "network_train_unet_only" not in off.config


def test_steps_before_epochs() -> None:
    assert recipe_of(LANTERN).config["max_train_steps"] == 600
    epochs = recipe_of(LANTERN, max_train_steps=None)
    assert epochs.config["max_train_epochs"] == 10
    done = recipe_of(LANTERN, max_train_steps=None, num_epochs=None, steps="77")
    assert done.config["max_train_steps"] == 77
    assert "77" in done.notes(Kind.ASSUMED)["max_train_steps"]
    nothing = recipe_of(LANTERN, max_train_steps=None, num_epochs=None)
    assert "1,600 steps" in nothing.notes(Kind.MISSING)["max_train_steps"]


def test_a_file_saved_on_the_way_says_so() -> None:
    early = recipe_of(LANTERN, epoch="4", steps="240")
    assert "saved in epoch 4" in early.notes(Kind.ASSUMED)["length"]
    assert "length" not in recipe_of(LANTERN, epoch="10", steps="600").notes(Kind.ASSUMED)


def test_several_devices() -> None:
    made = recipe_of(FOLDERS, total_batch_size="16", gradient_accumulation_steps="2")
    assert made.notes(Kind.ASSUMED)["devices"].startswith("2 trained together")
    assert "devices" in recipe_of(LANTERN).notes(Kind.MISSING)
    one = recipe_of(FOLDERS)
    assert "devices" not in {**one.notes(Kind.ASSUMED), **one.notes(Kind.MISSING)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mixed_precision", "torch.float32"),
        ("full_fp16", "True"),
        ("max_token_length", "100"),
        ("lr_scheduler", "zigzag"),
        ("huber_scale", "large"),
    ],
)
def test_what_sd_scripts_would_refuse_is_left_out_and_named(name: str, value: str) -> None:
    made = recipe_of(LANTERN, **{name: value})
    assert name not in made.config
    assert "left out" in made.notes(Kind.CONFLICT)[name]


def test_what_could_not_be_read_is_a_conflict() -> None:
    made = recipe_of(LANTERN, noise_offset="a lot")
    assert "a lot" in made.notes(Kind.CONFLICT)["noise_offset"]
    names = [
        *("steps", "epoch", "seed", "clip_skip", "max_token_length", "num_epochs", "fp8_base"),
        *("max_train_steps", "noise_offset", "total_batch_size", "num_train_images", "huber_c"),
        *("num_reg_images", "min_snr_gamma", "ip_noise_gamma", "gradient_accumulation_steps"),
        *("prior_loss_weight", "max_grad_norm", "zero_terminal_snr", "lowram", "full_fp16"),
        *("cache_latents", "gradient_checkpointing", "network_dropout"),
    ]
    many = recipe_of(LANTERN, **dict.fromkeys(names, "a lot")).notes(Kind.CONFLICT)
    assert many["metadata"] == (f"{len(names) - MAX_PROBLEMS} more problems; `inspect` lists them")


def test_what_modelspec_adds() -> None:
    made = recipe_of(
        {
            **LANTERN,
            "modelspec.timestep_range": "100,900",
            "modelspec.prediction_type": "v",
            "modelspec.author": "stonecutter",
            "modelspec.title": "lantern",
        }
    )
    assert (made.config["min_timestep"], made.config["max_timestep"]) == (100, 900)
    assert made.config["v_parameterization"] is True
    assert made.config["metadata_author"] == "stonecutter"
    assert "metadata_title" not in made.config  # the name of the output, which is there already


def test_another_trainers_words_are_translated_or_left_out() -> None:
    made = recipe_of(
        LANTERN, SD1, network_module="network.lora", sd_scripts_commit_hash=None, v2=None,
        lr_step_rules="", network_args={"target": "attn"},
    )  # fmt: skip
    assert made.config["network_module"] == "networks.lora"
    assert "instead of network.lora" in made.notes(Kind.ASSUMED)["network_module"]
    assert "network_args" not in made.config
    assert "target" in made.notes(Kind.CONFLICT)["network_args"]


def test_text_of_the_file_stays_text() -> None:
    name = 'night"\n[[datasets]]\nbatch_size = 9\n#\x1b\x7f\\'
    made = recipe_of(
        LANTERN, training_comment=name, sd_model_name=f"{name}.ckpt", vae_name=f"a/{name}"
    )
    assert made.config["training_comment"] == name
    assert made.config["vae"] == f"REPLACE_ME/{name.rstrip(chr(92))}"
    assert "datasets" not in made.config
    assert "\nbatch_size" not in report_text(made.recipe.notes)
    assert "\x1b" not in config_text(made.recipe, "title\n\x1bx = 1")


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        ("night harbour v2.1", "night harbour v2.1"),
        ("../../.ssh/authorized_keys", "authorized_keys"),
        ("C:\\Windows\\lantern", "lantern"),
        ("sub/lantern", "lantern"),
        ("..", "last"),
        ('a:b?"c\n', "a_b__c_"),
        ("https://site.example/lantern?token=x", "lantern"),
    ],
)
def test_the_name_of_the_output_is_that_of_a_file(recorded: str, name: str) -> None:
    assert recipe_of(LANTERN, output_name=recorded).config["output_name"] == name


def test_a_name_that_was_reduced_is_noted() -> None:
    made = recipe_of(LANTERN, output_name="sub/lantern")
    assert "“sub/lantern”" in made.notes(Kind.ASSUMED)["output_name"]


@pytest.mark.parametrize(
    ("key", "option", "value"),
    [
        ("network_module", "network_module", "harbour.networks"),
        ("network_module", "network_module", "networks.lora.evil"),
        ("network_module", "network_module", "lycoris.other"),
        ("optimizer", "optimizer_type", "harbour.optim.Tide"),
        ("optimizer", "optimizer_type", "os.system"),
        ("optimizer", "optimizer_type", "torch.hub.load"),
    ],
)
def test_a_module_that_nobody_knows_is_written_as_a_comment(
    key: str, option: str, value: str
) -> None:
    made = recipe_of(LANTERN, **{key: value})
    assert option not in made.config
    assert f'\n# {option} = "{value}"\n' in config_text(made.recipe, "a file")
    assert "written as a comment" in made.notes(Kind.CONFLICT)[option]


@pytest.mark.parametrize("module", ["networks.lora_krea2", "lycoris.kohya", "lycoris.locon_kohya"])
def test_a_known_module_is_written(module: str) -> None:
    assert recipe_of(LANTERN, network_module=module).config["network_module"] == module


def test_the_report_goes_from_what_is_lost_to_what_disagrees() -> None:
    report = report_text(recipe_of(LANTERN, full_fp16="True").recipe.notes)
    headings = [line for line in report.splitlines() if line and not line.startswith(" ")]
    assert headings == ["not recoverable", "assumed", "conflict"]
    assert max(map(len, report.splitlines())) < 80

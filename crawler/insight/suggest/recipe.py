"""Write a starting recipe as files for sd-scripts, each option with the LoRAs that support it.

The chosen settings are put into one Decoded, as if a single file had them all. The export of recipes
then decides where each option goes, which options a script accepts, and where a placeholder is needed.
"""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from crawler.errors import UsageError
from crawler.insight.export.draft import DatasetTable, Export, Kind, Option
from crawler.insight.export.recipe import export
from crawler.insight.suggest.settings import Advice, Finding
from crawler.model import Dataset, Decoded, Directory, Header, Outcome, Recipe, Weights

#: Option of sd-scripts -> the setting behind it, where the names differ.
_SETTINGS = MappingProxyType(
    {
        "pretrained_model_name_or_path": "sd_model_name",
        "network_train_unet_only": "trains_text_encoder",
        "optimizer_type": "optimizer",
        "unet_lr": "effective_unet_lr",
        "text_encoder_lr": "effective_text_encoder_lr",
        "max_train_steps": "steps",
        "num_repeats": "mean_repeats",
        "debiased_estimation_loss": "debiased_estimation",
        "save_precision": "tensor_dtype",
    }
)

#: Settings that are columns of Recipe and taken over unchanged.
_AS_CHOSEN = (
    *("base_model_version", "sd_model_name", "network_module", "network_dim", "network_alpha"),
    *("network_args", "network_algo", "network_dropout", "optimizer", "optimizer_path"),
    *("optimizer_args", "lr_scheduler", "lr_warmup_steps", "max_grad_norm", "batch_size"),
    *("gradient_accumulation_steps", "steps", "shuffle_caption", "keep_tokens", "flip_aug"),
    *("caption_dropout_rate", "caption_tag_dropout_rate", "noise_offset", "adaptive_noise_scale"),
    *("multires_noise_iterations", "multires_noise_discount", "min_snr_gamma", "ip_noise_gamma"),
    *("zero_terminal_snr", "debiased_estimation", "scale_weight_norms", "prior_loss_weight"),
    *("loss_type", "huber_c", "guidance_scale", "timestep_sampling", "discrete_flow_shift"),
    *("weighting_scheme", "mixed_precision", "full_fp16", "full_bf16", "fp8_base"),
    *("gradient_checkpointing", "cache_latents", "clip_skip", "max_token_length"),
)


def recipe_of(advice: Advice, images: int | None) -> Export:
    """The recipe, with a remark on each option about its evidence, and notes on what is left out.

    Args:
        advice: Must have a network module or a learning rate.
        images: The number of training images; None for any.

    Raises:
        UsageError: The LoRAs have neither a network module nor a learning rate.
    """
    if advice.chosen("network_module") is None and advice.chosen("effective_unet_lr") is None:
        raise UsageError(
            "cannot make a recipe: none of these LoRAs states a network module or a learning rate"
        )
    made = export(_as_one_file(advice, images))
    return replace(
        made,
        config=tuple(
            replace(section, options=_remarked(section.options, advice)) for section in made.config
        ),
        datasets=tuple(
            DatasetTable(
                _remarked(table.options, advice),
                tuple(_remarked(subset, advice) for subset in table.subsets),
            )
            for table in made.datasets
        ),
        notes=tuple(note for note in made.notes if note.kind is Kind.CONFLICT),
    )


def _evidence(finding: Finding) -> str:
    """The evidence for a chosen value: how many LoRAs have it, in a few words."""
    loras = f"{finding.count:,} LoRAs" if finding.count > 1 else "1 LoRA"
    if finding.given:
        loras += f" with the same {' and '.join(name for name, _ in finding.given)}"
    if finding.quartiles is None:
        return f"{finding.values[0].share:.0%} of {loras}"
    low, median, high = finding.quartiles
    spread = "" if low == high else f", IQR {low:.4g} to {high:.4g}"
    return f"median {median:.4g} of {loras}{spread}"


def _as_one_file(advice: Advice, images: int | None) -> Decoded:
    chosen = advice.chosen
    text_encoder = chosen("effective_text_encoder_lr")
    side = chosen("resolution")
    width = None if side is None else round(side)
    repeats = chosen("mean_repeats")
    recipe = Recipe(
        trainer=chosen("trainer"),
        unet_lr=chosen("effective_unet_lr"),
        text_encoder_lr=text_encoder,
        text_encoder_lrs=None if text_encoder is None else (text_encoder,),
        resolution_width=width,
        resolution_height=width,
        **{name: chosen(name) for name in _AS_CHOSEN},
    )
    dataset = Dataset(
        number=0,
        **{
            name: chosen(name)
            for name in ("enable_bucket", "bucket_no_upscale", "min_bucket_reso", "max_bucket_reso")
        },
    )
    folder = Directory(
        number=0,
        dataset_number=0,
        name="images",
        repeats=None if repeats is None else max(round(repeats), 1),
        image_count=images,
    )
    return Decoded(
        header=Header(length=0, tensors={}, metadata=None),
        outcome=Outcome.DECODED,
        recipe=recipe,
        weights=Weights(
            **{
                name: chosen(name)
                for name in ("architecture", "trains_text_encoder", "tensor_dtype")
            }
        ),
        datasets=(dataset,),
        directories=(folder,),
        tags={},
    )


def _remarked(options: Iterable[Option], advice: Advice) -> tuple[Option, ...]:
    """The options, with the evidence added to each remark."""
    found = []
    for option in options:
        finding = advice.findings.get(_SETTINGS.get(option.name, option.name))
        said = [option.remark, "" if finding is None else _evidence(finding)]
        found.append(replace(option, remark="; ".join(text for text in said if text)))
    return tuple(found)

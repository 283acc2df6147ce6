"""The bytes behind every file of a drawn catalogue."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from crawler.sandbox import headers
from crawler.sandbox.chance import dice_for, happens, hexadecimal
from crawler.sandbox.entries import Body, Content, Upload
from crawler.sandbox.kohya import metadata, minimum
from crawler.sandbox.layers import Base
from crawler.sandbox.runs import draw_network, draw_run
from crawler.sandbox.tensors import Measure, Network, Skeleton

_BASES = {
    "SD 1.5": Base.SD1,
    "SD 2.1": Base.SD2,
    "SDXL 1.0": Base.SDXL,
    "Pony": Base.SDXL,
    "Illustrious": Base.SDXL,
    "NoobAI": Base.SDXL,
    "Flux.1 D": Base.FLUX1,
    "Other": Base.SD1,
}
#: Bodies with a header that can be measured without making it.
SOUND = (Body.TRAINED, Body.SILENT, Body.GIANT)
_CONTENTS = 300  # a place of its own for `mix`
_FILE_ID_BITS = 32
_ZIP_BYTES = 3_000_000
_GIANT_BYTES = 24 * 1024**3  # as large as the largest files of the site
_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>"
    b"<body><p>This is a page where weights were due.</p></body></html>\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file and what its bytes depend on.

    Attributes:
        trigger: The word that the images were captioned with.
        published_at: Milliseconds of Unix time.
    """

    upload: Upload
    model_type: str
    base_model: str
    trigger: str
    published_at: int


def sha256(seed: int, upload: Upload) -> str:
    """A made-up hash of a file, 64 upper-case digits.

    Nobody could check it: hashing hundreds of megabytes of zeros per file is not worth its time.
    """
    return hexadecimal(64, seed, _CONTENTS, drawn_from(upload), 1).upper()


def weights_sha256(seed: int, upload: Upload) -> str:
    """A made-up hash of what follows the header, the same in the header and (cut) in the API."""
    return hexadecimal(64, seed, _CONTENTS, drawn_from(upload), 2)


def drawn_from(upload: Upload) -> int:
    """The number that a file's bytes and hashes are drawn from: another one for other bytes."""
    return upload.file_id + (upload.generation << _FILE_ID_BITS)


def content(seed: int, sample: Sample, skeleton: Callable[[Network], Skeleton]) -> Content:
    """A file, as the seed wants it.

    Args:
        seed: The catalogue's.
        sample: The file and what it belongs to.
        skeleton: Makes the list of tensors, or remembers it.
    """
    upload = sample.upload
    match upload.body:
        case Body.HTML:
            return Content(_PAGE, len(_PAGE))
        case Body.ZIP:
            return Content(b"PK\x03\x04\x14\x00", _ZIP_BYTES)
        case Body.LFS:
            digits = hexadecimal(64, seed, _CONTENTS, drawn_from(upload), 3)
            text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digits}\nsize 9999\n"
            return Content(text.encode(), len(text))
        case Body.HUGE:
            size = headers.LENGTH_BYTES + headers.HUGE_HEADER_BYTES
            return Content(headers.huge(), size, filler=ord(" "))
    network, told = _training(seed, sample)
    tensors = skeleton(network)
    if upload.body is Body.BAD:
        header = headers.bad(told or {}, tensors, upload.file_id)
    else:
        header = headers.sound(told, tensors)
    return Content(header, len(header) + tensors.body_bytes)


def size_bytes(seed: int, sample: Sample, measure: Callable[[Network], Measure]) -> int:
    """How long `content` is, for a body that is one of SOUND.

    A list asks for many sizes and for no bytes, so none are made.
    """
    network, told = _training(seed, sample)
    lengths = measure(network)
    return headers.sound_bytes(told, lengths) + lengths.body_bytes


def _training(seed: int, sample: Sample) -> tuple[Network, dict[str, str] | None]:
    upload = sample.upload
    dice = dice_for(seed, _CONTENTS, drawn_from(upload))
    network = draw_network(dice, _BASES[sample.base_model], sample.model_type)
    if upload.body is Body.GIANT:
        network = replace(network, ballast_bytes=_GIANT_BYTES)
    if upload.body is Body.SILENT:
        return network, {"format": "pt"} if happens(dice, 0.5) else None
    run = draw_run(dice, network, sample.trigger, sample.published_at / 1000)
    told = metadata(dice, run, f"{sample.trigger}-v1") if happens(dice, 0.97) else minimum(run)
    told["sshs_model_hash"] = weights_sha256(seed, upload)
    told["sshs_legacy_hash"] = hexadecimal(8, seed, _CONTENTS, drawn_from(upload), 4)
    return network, told

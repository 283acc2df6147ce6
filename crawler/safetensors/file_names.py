"""What a file's name alone says of its format, so that it need not be asked for."""

#: The suffixes of safetensors files.
SAFETENSORS_SUFFIXES = frozenset({"safetensors", "sft"})

#: Suffixes that people upload under a model and that are something else.
OTHER_SUFFIXES = frozenset(
    (
        *("pt", "pth", "ckpt", "bin", "pkl", "pickle", "h5", "npz", "npy", "onnx", "gguf", "ggml"),
        *("zip", "7z", "rar", "tar", "gz", "tgz", "bz2", "xz", "zst"),
        *("yaml", "yml", "json", "jsonl", "toml", "txt", "md", "csv", "html", "pdf", "py", "ipynb"),
        *("png", "jpg", "jpeg", "webp", "gif", "avif", "mp4", "webm", "mov", "mp3", "wav"),
    )
)

#: Civitai's word for the format, for names that say nothing.
SAFETENSORS_FORMAT = "SafeTensor"


def why_not_safetensors(name: str, site_format: str | None) -> str | None:
    """Why a file is no safetensors file, in words; None when it may be one.

    Args:
        name: The file name; its suffix decides where it is a known one, in whatever case.
        site_format: What the site calls the format, None when it does not say.
    """
    stem, dot, suffix = name.strip().rpartition(".")
    suffix = suffix.casefold()
    if dot and suffix in SAFETENSORS_SUFFIXES:
        return None
    if dot and stem and suffix in OTHER_SUFFIXES:
        return f"a .{suffix} file by its name"
    if site_format == SAFETENSORS_FORMAT:
        return None
    if site_format:
        return f"the site calls its format {site_format}"
    return "neither its name nor the site says that it is a safetensors file"

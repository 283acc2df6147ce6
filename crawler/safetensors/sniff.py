"""Files that are not safetensors files, recognised by the first bytes or by the name."""

import codecs
import re

#: Bytes that are examined as text: an HTML page may begin with a comment or blank lines.
SAMPLE_BYTES = 1024

#: Longest quotation from a file in a message, in characters.
MAX_QUOTED = 80

_MAGIC = (
    (b"PK\x03\x04", "zip archive (a PyTorch checkpoint, perhaps)"),
    (b"PK\x05\x06", "empty zip archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (b"Rar!\x1a\x07", "RAR archive"),
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GGUF", "GGUF model"),
)

# Protocols 2 to 5; older ones have no signature.
_PICKLE = re.compile(rb"\x80[\x02-\x05]")

_TEXTS = (
    (re.compile(r"<(?:!doctype\s+html|html|head|body|script|!--)", re.IGNORECASE), "HTML page"),
    (re.compile(r"<[?!A-Za-z]"), "XML text"),
    (re.compile(r"version https://git-lfs"), "Git LFS pointer"),
    (re.compile(r"[{\[]"), "JSON text"),
)

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")

#: Fewer printable bytes prove nothing: a safetensors file begins with 8 bytes of length.
_MIN_TEXT_BYTES = 8


def name_other_format(start: bytes, *, length_possible: bool) -> str | None:
    """The name of the format that the first bytes show, None when they show none.

    Call it only for bytes that are not a valid safetensors header: some valid headers begin with the
    signature of another format.

    Args:
        start: The file's beginning.
        length_possible: Whether the first 8 bytes can be the length of a header. If so, the two-byte
            signature of a pickle is too weak and is not tried.
    """
    for magic, name in _MAGIC:
        if start.startswith(magic):
            return name
    if not length_possible and _PICKLE.match(start):
        return "pickle (a PyTorch checkpoint, perhaps)"
    try:
        # The sample may cut the last character.
        text = codecs.getincrementaldecoder("utf-8")().decode(start[:SAMPLE_BYTES])
    except UnicodeDecodeError:
        return None
    if _NO_TEXT.search(text):
        return None
    text = text.removeprefix("\ufeff").lstrip()
    for pattern, name in _TEXTS:
        if pattern.match(text):
            return name
    return "plain text" if len(start) >= _MIN_TEXT_BYTES else None


def quoted(raw: bytes | str) -> str:
    """At most MAX_QUOTED characters of a file in quotes, with control and non-ASCII characters escaped."""
    if isinstance(raw, bytes):
        # A character has at most four bytes; one that is cut does not matter here.
        raw = raw[: 4 * MAX_QUOTED].decode("utf-8", "replace")
    return ascii(raw[:MAX_QUOTED]) + ("..." if len(raw) > MAX_QUOTED else "")


#: Suffixes of other files that people upload under a model.
OTHER_SUFFIXES = frozenset(
    (
        *("pt", "pth", "ckpt", "bin", "pkl", "pickle", "h5", "npz", "npy", "onnx", "gguf", "ggml"),
        *("zip", "7z", "rar", "tar", "gz", "tgz", "bz2", "xz", "zst"),
        *("yaml", "yml", "json", "jsonl", "toml", "txt", "md", "csv", "html", "pdf", "py", "ipynb"),
        *("png", "jpg", "jpeg", "webp", "gif", "avif", "mp4", "webm", "mov", "mp3", "wav"),
    )
)


def why_not_safetensors(name: str, site_format: str | None) -> str | None:
    """Why a file is not a safetensors file, in words; None when it may be one.

    Args:
        name: The file name. A known suffix decides, in any case.
        site_format: The format that the site names (`SafeTensor`, `PickleTensor` …), None when it
            names none. It decides for names without a known suffix.
    """
    stem, dot, suffix = name.strip().rpartition(".")
    suffix = suffix.casefold()
    if dot and suffix in {"safetensors", "sft"}:
        return None
    if dot and stem and suffix in OTHER_SUFFIXES:
        return f"a .{suffix} file by its name"
    if site_format == "SafeTensor":
        return None
    if site_format:
        return f"the site calls its format {site_format}"
    return "neither the file name nor the site names the safetensors format"

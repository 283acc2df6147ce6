"""Paths of the user's files, and the API key; the only module that reads the environment."""

import os
import shlex
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from crawler.errors import UsageError

APP = "lora-crawl"

#: The API by default.
DEFAULT_API_URL = "https://civitai.com"

#: The environment variable with the database that commands use.
DATABASE_VARIABLE = "LORA_CRAWL_DB"

#: Environment variables with the API key; the first one that is set is used.
KEY_VARIABLES = ("CIVITAI_API_TOKEN", "CIVITAI_API_KEY", "CIVITAI_TOKEN")


#: How `less` behaves unless LESS says otherwise: it ends when everything fits, keeps colours and long
#: lines as they are, and leaves the text on the screen.
_LESS = "FRSX"


def pager() -> tuple[list[str], dict[str, str]] | None:
    """The command that pages long answers, from PAGER, and its environment; None for no pager."""
    words = shlex.split(os.environ.get("PAGER", "less"))
    if (
        not words
        or words == ["cat"]
        or os.environ.get("TERM") == "dumb"
        or not shutil.which(words[0])
    ):
        return None
    return words, {"LESS": _LESS, "LV": "-c", **os.environ}


def default_database() -> Path:
    """`loras.db` in the user's data directory; it may not exist."""
    from platformdirs import user_data_path  # noqa: PLC0415 - not needed for the help

    return user_data_path(APP) / "loras.db"


def completes_in_bash() -> bool:
    """Whether bash asks for completions. It inserts them as they are; other shells escape them."""
    return os.environ.get("_LORA_CRAWL_COMPLETE") == "complete_bash"


def usual_database() -> str:
    """The database that commands use without `--db`: LORA_CRAWL_DB, else the default one."""
    return os.environ.get(DATABASE_VARIABLE, "").strip() or str(default_database())


def sandbox_database() -> Path:
    """The database of `sync --sandbox`, beside the default one."""
    return default_database().with_name("sandbox.db")


def key_file() -> Path:
    """The file in which `login` stores the API key."""
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed for the help

    return user_config_path(APP) / "token"


def api_key(environment: Mapping[str, str] | None = None) -> str | None:
    """The API key from the environment, else the one that `login` stored, else None.

    Raises:
        UsageError: The key has characters that are invalid in an HTTP header; the message does not show it.
    """
    variables = os.environ if environment is None else environment
    for name in KEY_VARIABLES:
        if key := variables.get(name, "").strip():
            return usable_key(key, f"the environment variable {name}")
    with suppress(FileNotFoundError, NotADirectoryError):
        if key := key_file().read_text(encoding="utf-8").strip():
            return usable_key(key, str(key_file()))
    return None


def keys_set() -> list[str]:
    """The environment variables that are set to a key."""
    return [name for name in KEY_VARIABLES if os.environ.get(name, "").strip()]


def store_api_key(key: str) -> Path:
    """Store the key in a file that only the user can read; return its path."""
    path = key_file()
    for missing in reversed((path.parent, *path.parent.parents)):
        missing.mkdir(mode=0o700, exist_ok=True)
    # Removed and created with its mode, so that no other user can open it in between.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key + "\n")
    return path


def exposed_key_file() -> Path | None:
    """The file with the key if other users can read it, else None."""
    with suppress(OSError):
        if os.name == "posix" and key_file().stat().st_mode & 0o077:
            return key_file()
    return None


def remove_api_key() -> bool:
    """Remove the stored key; False when there was none."""
    try:
        key_file().unlink()
    except FileNotFoundError:
        return False
    return True


def usable_key(key: str, where: str) -> str:
    """The key.

    Args:
        key: What was given as a key.
        where: Where it comes from, for the message.

    Raises:
        UsageError: It has characters that are invalid in an HTTP header; the message does not show it.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            f"the API key in {where} has spaces or other characters that no key has; "
            "copy it again from https://civitai.com/user/account"
        )
    return key

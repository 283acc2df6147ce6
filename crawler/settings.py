"""Where things are kept, and the API key: the one module that reads the environment."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from platformdirs import user_config_path, user_data_path

from crawler.errors import UsageError

APP = "lora-crawl"

#: The API that is crawled unless another one is named.
DEFAULT_API_URL = "https://civitai.com"

#: Names under which people keep their key, the first one found is taken.
KEY_VARIABLES = ("CIVITAI_API_TOKEN", "CIVITAI_API_KEY", "CIVITAI_TOKEN")


def default_database() -> Path:
    """`loras.db` in the user's data directory; it need not be there."""
    return user_data_path(APP) / "loras.db"


def sandbox_database() -> Path:
    """Where `sync --sandbox` stores, beside the default database."""
    return default_database().with_name("sandbox.db")


def key_file() -> Path:
    """Where `login` keeps the API key."""
    return user_config_path(APP) / "token"


def api_key(environment: Mapping[str, str] | None = None) -> str | None:
    """The API key from the environment, else what `login` stored, else None.

    Raises:
        UsageError: The key holds what no HTTP header can; the message does not show it.
    """
    variables = os.environ if environment is None else environment
    for name in KEY_VARIABLES:
        if key := variables.get(name, "").strip():
            return _usable(key, f"the environment variable {name}")
    with suppress(FileNotFoundError, NotADirectoryError):
        if key := key_file().read_text(encoding="utf-8").strip():
            return _usable(key, str(key_file()))
    return None


def keys_set() -> list[str]:
    """The environment variables that hold a key."""
    return [name for name in KEY_VARIABLES if os.environ.get(name, "").strip()]


def store_api_key(key: str) -> Path:
    """Keep the key for the user alone; returns where."""
    path = key_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Removed first and made anew with its mode, so that no other user can open it in between.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(key + "\n")
    return path


def remove_api_key() -> bool:
    """Forget the stored key; False when there was none."""
    try:
        key_file().unlink()
    except FileNotFoundError:
        return False
    return True


def _usable(key: str, where: str) -> str:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            f"the API key in {where} holds spaces or other characters that no key has; "
            "copy it again from https://civitai.com/user/account"
        )
    return key

"""`lora-crawl login` and `logout`: the API key."""

import sys

import typer

from crawler.cli.options import ApiUrl, Quiet, Verbose, voice_of
from crawler.errors import UsageError
from crawler.settings import DEFAULT_API_URL, keys_set, remove_api_key, store_api_key


def login(
    ctx: typer.Context,
    *,
    api_url: ApiUrl = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Ask for your API key, check it with the site, and keep it for you alone.

    The key is asked for without showing it, or read from standard input when that is no terminal.
    Make one at https://civitai.com/user/account
    """
    import anyio

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if sys.stdin.isatty():
        key = str(typer.prompt("API key", hide_input=True, err=True)).strip()
    else:
        key = sys.stdin.readline().strip()
    if not key:
        raise UsageError("no key was given, so nothing changed")
    name = anyio.run(_name_of, api_url or DEFAULT_API_URL, key)
    if name is None:
        raise UsageError("the site does not know this key, so nothing changed; copy it again")
    where = store_api_key(key)
    voice.notice(f"logged in as {name}; the key is kept in {where}")


def logout(ctx: typer.Context, *, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Remove the key that `login` keeps."""
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    removed = remove_api_key()
    voice.notice("the key is removed" if removed else "there was no stored key")
    for variable in keys_set():
        voice.notice(f"{variable} is still set and still sent")


async def _name_of(api_url: str, key: str) -> str | None:
    """The user name that belongs to a key; None when the site does not take it."""
    from crawler.http import HttpSettings, Secret
    from crawler.sources.civitai.client import Civitai

    settings = HttpSettings(api_url=api_url, api_key=Secret(key))
    async with Civitai(settings) as source:
        return await source.me()

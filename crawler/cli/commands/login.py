"""`lora-crawl login` and `logout`: the API key."""

import sys

import typer

from crawler.cli.options import ApiUrl, Quiet, Verbose, voice_of
from crawler.cli.output.console import Voice
from crawler.errors import UsageError
from crawler.settings import DEFAULT_API_URL, keys_set, remove_api_key, store_api_key


def login(
    ctx: typer.Context, *, api_url: ApiUrl = None, quiet: Quiet = False, verbose: Verbose = 0
) -> None:
    """Check an API key with the site and store it.

    The key is typed without being shown, or read from standard input. Create one at
    https://civitai.com/user/account
    """
    import anyio

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if sys.stdin.isatty():
        key = str(typer.prompt("API key", hide_input=True, err=True)).strip()
    else:
        key = sys.stdin.readline().strip()
    if not key:
        raise UsageError("no key given; nothing changed")
    name = anyio.run(_user_of, api_url or DEFAULT_API_URL, key, voice)
    if name is None:
        raise UsageError("the site does not accept this key; nothing changed. Copy the key again.")
    where = store_api_key(key)
    voice.notice(f"logged in as {name}; the key is stored in {where}")


def logout(ctx: typer.Context, *, quiet: Quiet = False, verbose: Verbose = 0) -> None:
    """Remove the stored API key."""
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    voice.notice("key removed" if remove_api_key() else "no stored key")
    for variable in keys_set():
        voice.notice(f"the key in {variable} is still used")


async def _user_of(api_url: str, key: str, voice: Voice) -> str | None:
    """The user name of a key; None when the site refuses the key."""
    from crawler.http import HttpSettings, Secret
    from crawler.sources.civitai.client import Civitai

    settings = HttpSettings(api_url=api_url, api_key=Secret(key))
    async with Civitai(settings, tell=voice.notice) as source:
        return await source.me()

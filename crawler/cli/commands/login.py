"""`lora-crawl login` and `logout`: the API key."""

import sys

import typer

from crawler.cli.options import ApiUrl, Quiet, Verbose, voice_of
from crawler.cli.output.console import Voice
from crawler.errors import UsageError
from crawler.settings import DEFAULT_API_URL, keys_set, remove_api_key, store_api_key, usable_key


def login(
    ctx: typer.Context, *, api_url: ApiUrl = None, quiet: Quiet = False, verbose: Verbose = 0
) -> None:
    """Check an API key with the site and store it.

    The key is typed without being shown, or read from standard input. Create one at
    https://civitai.com/user/account
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    key = _typed() if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not key:
        raise UsageError("no key given; nothing changed")
    if not _accepted(api_url or DEFAULT_API_URL, key, voice):
        raise UsageError("the site does not accept this key; nothing changed. Copy the key again.")


def offered_key(api_url: str, voice: Voice) -> str | None:
    """The API key that a person at a terminal types and the site accepts; None for Enter.

    Raises:
        UnreachableError, SiteError: The site does not answer.
    """
    voice.notice(
        "No API key. Civitai's terms allow automated clients with their user's own key and\n"
        "within its rate limits. Create one at https://civitai.com/user/account\n"
        "Paste it here (it is not shown), or press Enter to continue without one."
    )
    while key := _typed():
        if _accepted(api_url, key, voice):
            return key
        voice.notice("The site does not accept this key. Copy it again, or press Enter.")
    return None


def _typed() -> str:
    return str(
        typer.prompt("API key", default="", hide_input=True, show_default=False, err=True)
    ).strip()


def _accepted(api_url: str, key: str, voice: Voice) -> bool:
    """Store a key that the site knows; False for one that it does not know."""
    import anyio

    name = anyio.run(_user_of, api_url, usable_key(key, "the input"), voice)
    if name is None:
        return False
    voice.notice(f"logged in as {name}; the key is stored in {store_api_key(key)}")
    return True


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

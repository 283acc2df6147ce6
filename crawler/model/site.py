"""Civitai's host names, and the ids that its URLs name."""

import re
from dataclasses import dataclass

SITE_URL = "https://civitai.com"

#: The same site with mature content, which SITE_URL no longer shows since April 2026.
MATURE_SITE_URL = "https://civitai.red"

#: The API that the database of a sandbox remembers, since the port changes each time.
SANDBOX_URL = "http://sandbox.invalid"

#: The bit of `nsfw_level` for images that everyone may see.
PG = 1

#: One catalogue under three names.
SITE_HOSTS = frozenset({"civitai.com", "civitai.red", "civitai.green"})

_PAGE = re.compile(
    r"https?://[^/?#]+(?P<kind>/api/download/models|(?:/api/v1)?/models|(?:/api/v1)?/model-versions)"
    r"/(?P<id>[0-9]{1,18})(?=[/?#]|$)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"[?&](modelVersionId|fileId)=([0-9]{1,18})(?=[&#]|$)")


@dataclass(frozen=True, slots=True)
class UrlIds:
    """The ids that a URL of the site names; None for those that it does not."""

    model_id: int | None = None
    version_id: int | None = None
    file_id: int | None = None


def is_site_host(host: str) -> bool:
    """Whether a host is the site, with or without `www.`."""
    return host.lower().removeprefix("www.") in SITE_HOSTS


def page_url(
    origin: str, model_id: int, version_id: int, *, nsfw: bool | None, nsfw_level: int | None
) -> str | None:
    """The web page of a version, where it can be opened; None for local files, which have none.

    SITE_URL shows a model only if it is not marked as mature and some of its images are PG
    (the site's component SensitiveShield).

    Args:
        origin: The URL of the API, or another word.
        model_id: The model.
        version_id: The version.
        nsfw: Whether the model is marked as mature, if known.
        nsfw_level: The bit mask of its images, as in `Model`, if known.
    """
    if not origin.startswith("http"):
        return None
    mature = nsfw or (nsfw_level is not None and not nsfw_level & PG)
    host = MATURE_SITE_URL if mature and origin == SITE_URL else origin
    return f"{host}/models/{model_id}?modelVersionId={version_id}"


def lacks_scheme(text: str) -> bool:
    """Whether a text is a URL of the site as browsers show it: `civitai.com/models/1`."""
    host, slash, _ = text.partition("/")
    return bool(slash) and is_site_host(host)


def ids_of_url(url: str) -> UrlIds:
    """The ids in the URL of a model page, a version page, a download, or the same in the API.

    The host is not checked, because the API may be elsewhere (`--api-url`). No ids: another URL.
    """
    page = _PAGE.match(url)
    if page is None:
        return UrlIds()
    number = int(page["id"])
    named = {name: int(value) for name, value in _PARAMETER.findall(url.partition("#")[0])}
    if page["kind"].lower() in {"/models", "/api/v1/models"}:
        return UrlIds(model_id=number, version_id=named.get("modelVersionId"))
    return UrlIds(version_id=number, file_id=named.get("fileId"))

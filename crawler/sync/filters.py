"""Check the filters of a list before anything is crawled.

Civitai answers an unknown base model with an empty list, and it ignores an unknown tag: it lists
everything.
"""

from collections.abc import Iterable
from dataclasses import replace

from crawler.errors import UsageError
from crawler.model import ListQuery
from crawler.query.near import nearest_values, offer
from crawler.sources.base import Source

#: First characters of an unknown tag, by which similar tags are found.
_TAG_START = 3


async def checked(source: Source, ask: ListQuery) -> ListQuery:
    """The query with its base models as the site spells them.

    Raises:
        UsageError: The site does not know a base model or the tag; the message offers similar names.
        SiteError: The site cannot be reached or refuses us.
    """
    if ask.base_models:
        known = await source.base_models()
        names = [await _base_model(source, ask, name, known) for name in ask.base_models]
        ask = replace(ask, base_models=tuple(dict.fromkeys(names)))
    if ask.tag is not None:
        await _check_tag(source, ask, ask.tag)
    return ask


async def _base_model(source: Source, ask: ListQuery, name: str, known: tuple[str, ...]) -> str:
    spelled = {one.casefold(): one for one in known}
    if name.casefold() in spelled:
        return spelled[name.casefold()]
    # The site's enumeration may lack a base model that some models have, or be missing.
    page = await source.page(ListQuery(order=ask.order, base_models=(name,), mature=True), None)
    if page.models or page.next_cursor is not None:
        return name
    raise UsageError(f"the site has no base model {name!r}{_offer(name, known)}")


async def _check_tag(source: Source, ask: ListQuery, tag: str) -> None:
    listed = (await source.page(ask, None)).models
    shown = {one for model in listed for one in model.tags}
    if not listed or _is_among(tag, shown) or _is_among(tag, await source.tags(tag)):
        return
    # Models need not show the tag that they are found by. But without its filter the list is another.
    everything = (await source.page(replace(ask, tag=None), None)).models
    if [one.model_id for one in listed] == [one.model_id for one in everything]:
        similar = await source.tags(tag[:_TAG_START])
        raise UsageError(f"the site has no tag {tag!r}{_offer(tag, {*similar, *shown})}")


def _is_among(name: str, names: Iterable[str]) -> bool:
    return name.casefold() in {one.casefold() for one in names}


def _offer(name: str, names: Iterable[str]) -> str:
    """`; did you mean Pony or Pony V7?`; empty when no name is similar."""
    near = offer(nearest_values(name, sorted(names)))
    return f"; {near}" if near else ""

"""What to say of a file whose header is not there."""

from crawler.model import Outcome

#: What the outcome means and what can be done, for every outcome without a header.
_ADVICE = {
    Outcome.PENDING: "Its header was not read yet; `lora-crawl sync` goes on with what is pending.",
    Outcome.NOT_SAFETENSORS: "Only safetensors files say in front how they were trained.",
    Outcome.BAD_HEADER: "A program that loads LoRAs would refuse the file too; "
    "the bytes that were read are kept.",
    Outcome.LOGIN_REQUIRED: "The site gives this file to known users only: "
    "`lora-crawl login` keeps an API key.",
    Outcome.EARLY_ACCESS: "Until early access ends the file is for those who paid for it.",
    Outcome.DOWNLOADS_DISABLED: "Its creator allows no downloads, so nothing can be read.",
    Outcome.FORBIDDEN: "This API key has no access to the file.",
    Outcome.NOT_FOUND: "The site lists the file and does not have it; "
    "`lora-crawl sync --retry-failed` asks again.",
    Outcome.ARCHIVED: "The site has put the file away.",
    Outcome.FAILED: "`lora-crawl sync --retry-failed` asks again.",
}


def advice(outcome: str | None, *, local: bool) -> str:
    """One or two sentences for a person; empty for a file that was read.

    Args:
        outcome: As in the column of that name.
        local: The file was named by its path or URL: no `sync` will ever come to it.
    """
    if outcome is None or outcome not in {each.value for each in _ADVICE}:
        return ""
    if local and outcome not in {Outcome.NOT_SAFETENSORS, Outcome.LOGIN_REQUIRED}:
        return ""
    return _ADVICE[Outcome(outcome)]

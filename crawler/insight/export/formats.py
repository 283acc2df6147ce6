"""A recipe in the format of a trainer."""

from crawler.insight.export import Format, ai_toolkit, kohya_gui, onetrainer
from crawler.insight.export.carried import Written
from crawler.insight.export.draft import Export, config_text, dataset_text


def write(recipe: Export, source: str, form: Format) -> Written:
    """The files of a recipe, and the notes of its report.

    Args:
        recipe: The recipe to write.
        source: The source of the recipe, in words; may quote the file.
        form: The trainer's format.
    """
    match form:
        case Format.SD_SCRIPTS:
            files = (
                ("config.toml", config_text(recipe, source)),
                ("dataset.toml", dataset_text(recipe)),
            )
            return Written(files, recipe.notes)
        case Format.KOHYA_SS:
            return kohya_gui.written(recipe)
        case Format.ONETRAINER:
            return onetrainer.written(recipe)
        case Format.AI_TOOLKIT:
            return ai_toolkit.written(recipe, source)

"""The pages of the site that lie outside `docs/`."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent

#: Pages at the top of the repository, and their names on the site.
PAGES = {
    "README.md": "first-steps.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add PAGES to the site."""
    for source, name in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(
    markdown: str,
    page: Page,  # noqa: ARG001 -- MkDocs passes every argument by its name
    config: MkDocsConfig,  # noqa: ARG001
    files: Files,  # noqa: ARG001
) -> str:
    """Turn links between files of the repository into links between pages of the site.

    In the repository `docs/` lies between the two kinds of pages; the site is flat.
    """
    markdown = markdown.replace("](docs/", "](").replace("](../", "](")
    for source, name in PAGES.items():
        markdown = markdown.replace(f"]({source}", f"]({name}")
    return markdown

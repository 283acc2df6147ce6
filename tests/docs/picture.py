"""docs/picture.png, the picture in README. `python -m tests.docs.picture` draws it from a sandbox crawl."""

import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory

from crawler.store.connect.database import open_for_reading
from crawler.web.server import PageServer
from tests.web.browser import started

PICTURE = Path(__file__).parents[2] / "docs" / "picture.png"

#: CSS pixels of a window, and by how much its picture is made smaller.
WIDTH, HEIGHT, SHRUNK = 1_280, 800, 0.5

_FRAME = """<!doctype html><style>
body {{ margin: 0; padding: 12px; background: #8a93a0; display: grid; gap: 12px; width: {width}px;
  grid-template-columns: 1fr 1fr }}
img {{ display: block; width: 100%; border-radius: 4px }}
</style>{images}"""


def draw(to: Path) -> None:
    """Draw the report and the page, each in light and in dark, side by side."""
    with TemporaryDirectory() as folder:
        database, report = Path(folder, "sandbox.db"), Path(folder, "report.html")
        for words in (("sync", "--limit", "500", "--sandbox"), ("report", report)):
            subprocess.run(
                [sys.executable, "-m", "crawler", *words, "--db", database, "--quiet"], check=True
            )
        engine = open_for_reading(database)
        with started() as browser, PageServer(engine, host="127.0.0.1", port=0) as server:
            shown = []
            for scheme in ("light", "dark"):
                for address in (
                    f"{report.as_uri()}#settings",
                    f"{server.url}?q=steps%3A*&sort=-likes",
                ):
                    tab = browser.new_page(
                        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme
                    )
                    tab.goto(address)
                    tab.wait_for_load_state("networkidle")
                    shown.append(tab.screenshot())
            images = "".join(
                f'<img src="data:image/png;base64,{b64encode(one).decode()}">' for one in shown
            )
            width = round(2 * WIDTH * SHRUNK)
            frame = browser.new_page(viewport={"width": width + 24, "height": 100})
            frame.set_content(_FRAME.format(width=width, images=images))
            frame.screenshot(path=to, full_page=True)
        engine.dispose()


if __name__ == "__main__":
    draw(PICTURE)

"""Take the pictures of the README and the operator's guide from the demo: `make screenshots`."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.browser import HEIGHT, WIDTH, Screen, browsing

IMAGES = Path(__file__).parent / "images"
_LARGEST = 300_000  # bytes: the README is read over slow lines too


def take() -> None:
    """Run the demo, and picture what it leaves for the reader."""
    IMAGES.mkdir(exist_ok=True)
    with _demo() as links, browsing(links["prefect"], graphs=True) as screen:
        item, review = next(iter(links["mend"])), next(iter(links["reviews"]))
        screen.open_today()
        _picture(screen, "today", HEIGHT)
        screen.open_runs(view="Failed to Export")
        screen.expect_words(item)
        _picture(screen, "failed-to-export", 960)
        screen.open_run(item)
        screen.expect_words("What to do")
        _picture(screen, "item", 620)
        screen.open_runs(view="Ready to Export")
        screen.open_run(review)
        form = screen.open_form()
        screen.fill(form, Decided_by="Ada Approver", Accept="all")
        _picture(screen, "review-form", HEIGHT)


@contextmanager
def _demo() -> Iterator[dict[str, Any]]:
    """Keep the demo up; return the addresses that it prints."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tieout.cli", "demo", "--json", "--data", f"{folder}/demo"]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield _printed(demo)["links"]
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait()


def _printed(demo: "subprocess.Popen[str]") -> dict[str, Any]:
    text = ""
    for line in demo.stdout or ():
        text += line
        if line == "}\n":  # the only line that is not indented
            facts: dict[str, Any] = json.loads(text)
            return facts
    raise RuntimeError("the demo ended before it had printed its counts")


def _picture(screen: Screen, name: str, height: int) -> None:
    file = IMAGES / f"{name}.png"
    screen.page.set_viewport_size({"width": WIDTH, "height": height})
    screen.page.wait_for_timeout(1_500)  # charts and timelines move into place
    screen.page.mouse.move(0, 0)
    screen.page.screenshot(path=file)
    screen.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})  # a low window does not draw the list of runs
    if file.stat().st_size > _LARGEST:
        raise RuntimeError(f"{file} has more than {_LARGEST} bytes")
    print(f"{file}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    take()

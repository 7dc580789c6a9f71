"""The Prefect UI in a real browser, used by mouse and keyboard as an operator or an approver would."""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, TimeoutError, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
WIDTH, HEIGHT = 1400, 900
_ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)
# A run's graph is drawn sixty times a second, which takes a machine without a graphics card more than all the rest.
_NO_GRAPHS = "--disable-software-rasterizer"
_PATIENCE_SECONDS = 60.0  # a worker has to start a process on a busy machine
_ASKS_EVERY_MS = 5_000  # a page of Prefect shows what is new by then
expect.set_options(timeout=1_000 * _PATIENCE_SECONDS)


class Screen:
    """One window on a Prefect server."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url

    def open_runs(self, view: str | None = None) -> None:
        """Open the list of runs, and choose a saved view in it."""
        self.page.goto(f"{self.url}/runs")
        if view:
            self._views().get_by_role("option", name=view, exact=True).click()
            expect(self.page.locator(".p-select").first).to_have_text(view)

    def open_run(self, name: str) -> None:
        """Click on a run in the list; again where the list stays.

        A view puts what it asks for in the address late and more than once, which can end a click that was faster.
        """
        link = self.page.get_by_role("link", name=name, exact=True)
        title = self.page.locator(".p-bread-crumbs").get_by_text(name, exact=True)

        def click() -> bool:
            with suppress(TimeoutError):
                link.click(timeout=_ASKS_EVERY_MS)
                title.wait_for(timeout=_ASKS_EVERY_MS)
            return title.is_visible()

        self._wait(click)
        expect(title).to_be_visible()

    def open_tab(self, name: str) -> None:
        """Click on a tab of a run's page."""
        self.page.locator(".p-tab:visible").get_by_text(name, exact=True).click()

    def open_artifact(self) -> Locator:
        """Open the newest artifact of the run that is a text and return it."""
        self.open_tab("Artifacts")
        self.page.locator(".artifact-card", has_text="Markdown").first.click()
        text = self.page.locator("article.markdown-renderer:has(h1)")
        text.wait_for()
        return text

    def open_today(self) -> None:
        """Open the landing page: the newest of the artifacts of its name."""
        self.page.goto(f"{self.url}/artifacts/key/today")
        self.page.locator(".artifact-timeline-item-content a").first.click()
        self.page.locator("article.markdown-renderer:has(h1)").wait_for()

    def retry(self) -> None:
        """Press Retry and confirm."""
        self.page.get_by_role("button", name="Retry").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    def open_form(self) -> Locator:
        """Press Resume and return the form."""
        self.page.get_by_role("button", name="Resume").click()
        form = self.page.get_by_role("dialog")
        # The dialog is there before its questions are, and before the table that they are about.
        form.locator(".schema-form-property").first.wait_for()
        form.get_by_role("table").first.wait_for()
        return form

    def run_form(self, deployment_id: Any, **answers: str | list[str] | bool) -> None:
        """Fill in the form of *Custom run* and submit it; what is not named stays as it is."""
        self.page.goto(f"{self.url}/deployments/deployment/{deployment_id}/run")
        self.page.locator(".schema-form-property").first.wait_for()
        untold = self.page.locator(".schema-form-property:not(:has(.schema-form-property__description))")
        expect(untold).to_have_count(0)  # under each question stands what to fill in
        for name, answer in answers.items():
            label = self.page.locator(".schema-form-property__label", has_text=re.compile(rf"^{name}( \(Optional\))?$"))
            _answer(self.page.locator(".schema-form-property", has=label), answer)
        self.page.get_by_role("button", name="Submit").click()
        self.page.get_by_role("button", name="Submit").wait_for(state="hidden")

    def fill(self, form: Locator, **answers: str) -> None:
        """Type answers into the fields of these titles."""
        for title, text in answers.items():
            label = self.page.get_by_text(re.compile(rf"^{title.replace('_', ' ')}( \(Optional\))?$"))
            form.locator(".schema-form-property", has=label).locator("textarea").fill(text)

    def submit(self, form: Locator) -> None:
        """Press Submit, and wait until the form is gone."""
        form.get_by_role("button", name="Submit").click()
        form.wait_for(state="hidden")

    def read_table(self, place: Locator) -> list[list[str]]:
        """Return the rows of a table, cell by cell."""
        return [row.locator("td").all_inner_texts() for row in place.locator("tbody tr").all()]

    def expect_runs(self, names: list[str]) -> None:
        """Wait until the list has the runs of these names and no others."""
        shown = self.page.locator(".state-list-item__name a[href*='/flow-run/']")
        self._wait(lambda: sorted(shown.all_inner_texts()) == sorted(names))
        assert sorted(shown.all_inner_texts()) == sorted(names)

    def expect_words(self, words: str) -> None:
        """Wait until the page shows these words."""
        expect(self.page.get_by_text(words).first).to_be_visible()

    def expect_state(self, name: str) -> None:
        """Wait until the run stands so, and see that the badge on its page says it, the next time the page asks."""
        run = urlsplit(self.page.url).path.rpartition("/")[2]
        self._wait(lambda: self._state_of(run) == name)
        self.page.clock.fast_forward(_ASKS_EVERY_MS)
        badge = self.page.locator(".page-heading-flow-run__meta .state-badge")
        expect(badge).to_have_text(name, timeout=4 * _ASKS_EVERY_MS)

    def _wait(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and not until():
            self.page.wait_for_timeout(100)

    def _state_of(self, run: str) -> str:
        return str(self.page.request.get(f"{self.url}/api/flow_runs/{run}").json()["state_name"])

    def _views(self) -> Page:
        # The text of a closed drop-down of Prefect 3.8 does not open it; its arrow does.
        self.page.locator(".p-select", has_text="(default)").locator(".p-select-button__icon").click()
        return self.page


def _answer(question: Locator, answer: str | list[str] | bool) -> None:
    if isinstance(answer, bool):
        switch = question.get_by_role("switch")
        if (switch.get_attribute("aria-checked") == "true") != answer:
            switch.click()
        return
    kind = question.get_by_role("button", name="list" if isinstance(answer, list) else re.compile("^(str|int)$"))
    question.locator("textarea, input, .p-button-group").first.wait_for()
    if kind.count():  # what may be left empty is, until its kind is chosen
        kind.click()
    for number, text in enumerate(answer if isinstance(answer, list) else [answer]):
        if isinstance(answer, list):
            question.get_by_role("button", name="Add item").click()
        question.locator("textarea, input:not([type=checkbox])").nth(number).fill(text)


@contextmanager
def browsing(url: str, graphs: bool = False, **options: Any) -> Iterator[Screen]:
    """Open a browser on the Prefect server at this address; `graphs` says whether it draws those of runs."""
    arguments = _ARGUMENTS.split() + ([] if graphs else [_NO_GRAPHS])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, **options)
            page.clock.install()
            yield Screen(page, url)
        finally:
            browser.close()

"""The documentation pages in Chromium: no error on the console, no foreign host, and a form that works as it is filled in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.demo import Demo, running_demo

pytestmark = [pytest.mark.external, pytest.mark.timeout(300), pytest.mark.xdist_group("browser")]
LIST = "#operations-records-list_fasilitas_kesehatan"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("browser") / "demo") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program is not None, "the pages are looked at in Chromium: install the package chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Seen:
    """What the page said on its console, and whom it asked."""

    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda fault: self.said.append(str(fault)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _heard(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.said.append(message.text)


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize(
    ("path", "shown"), [("/docs", "#operations-tag-records"), ("/redoc", "#redoc h1"), ("/problems", "main table")]
)
def test_a_page_is_quiet_and_asks_nobody_else(
    browser: Browser, demo: Demo, path: str, shown: str, language: str
) -> None:
    page, seen = browser.new_page(), Seen()
    seen.on(page)
    page.goto(f"{demo.url}{path}?lang={language}")
    page.wait_for_selector(shown)
    page.wait_for_load_state("networkidle")

    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith((demo.url, "blob:", "data:"))] == []
    assert page.get_attribute("html", "lang") == language
    page.close()


def test_the_common_operations_come_first(browser: Browser, demo: Demo) -> None:
    page = browser.new_page()
    page.goto(f"{demo.url}/docs?lang=id")
    page.wait_for_selector("#operations-tag-records")
    tags = page.eval_on_selector_all(".opblock-tag", "found => found.map(one => one.dataset.tag)")
    page.click("#operations-tag-access")
    page.wait_for_selector("#operations-access-issue_token")
    first = page.eval_on_selector("#operations-tag-access ~ div .opblock", "found => found.id")

    assert tags[:3] == ["access", "records", "queries"]
    assert first == "operations-access-issue_token"
    page.close()


def test_a_person_signs_in_and_gets_records_by_pressing_execute(browser: Browser, demo: Demo) -> None:
    page, seen = browser.new_page(), Seen()
    seen.on(page)
    page.goto(f"{demo.url}/docs?lang=en")
    page.click(".btn.authorize")
    page.fill("#client_id_clientCredentials", "rsud-portal")
    page.fill("#client_secret_clientCredentials", demo.secrets["rsud-portal"])
    page.click(".auth-container:has(#client_id_clientCredentials) button.authorize")
    page.wait_for_selector(".auth-container button:has-text('Logout')")
    page.click(".btn-done >> nth=0")
    page.click("#operations-tag-records")
    page.click(f"{LIST} .opblock-summary-control")
    page.click(f"{LIST} .try-out__btn")
    filled = page.eval_on_selector_all(
        f"{LIST} .parameters-container input",
        "found => found.filter(one => one.value).map(one => one.placeholder + one.value)",
    )
    page.click(f"{LIST} .execute")
    page.wait_for_selector(f"{LIST} .live-responses-table tbody .response-col_status")
    status = page.inner_text(f"{LIST} .live-responses-table tbody .response-col_status")

    assert filled == ["limit10"]
    assert status.split()[0] == "200"
    assert seen.said == []
    page.close()

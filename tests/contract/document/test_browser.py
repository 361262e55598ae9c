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
    sign_in(page, demo)
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


SEARCH = "#operations-records-search_fasilitas_kesehatan"
SWAGGER_LABELS = frozenset(
    {
        "Authorize", "Available authorizations", "Close", "Value:", "Servers", "Parameters", "Try it out", "Cancel", "Execute", "Clear",
        "Name", "Description", "Available values", "Default value", "Example", "Request body", "Edit Value", "Example Value", "Schema",
        "Responses", "Code", "Details", "Links", "No links", "Media type", "Headers:", "Request URL", "Server response", "Response body",
        "Response headers", "Request duration", "Download", "Expand all", "Collapse all", "No parameters", "Filter by tag or path",
    }
)  # fmt: skip
REDOC_LABELS = frozenset(
    {
        "Parameters", "Responses", "Response Schema:", "Response Headers", "Response samples", "Request samples", "Request Body schema:",
        "required", "Copy", "Expand all", "Collapse all", "Download", "Authorizations:", "Example:", "Default:", "Payload", "License:",
    }
)  # fmt: skip
SHOWN = """() => {
  const found = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    if (!node.parentElement.closest("script, style, pre, code, .property-name")) found.add(node.data.trim());
  for (const one of document.querySelectorAll("[placeholder]")) found.add(one.placeholder);
  return [...found];
}"""


def sign_in(page: Page, demo: Demo) -> None:
    page.fill("#client_id_clientCredentials", "rsud-portal")
    page.fill("#client_secret_clientCredentials", demo.secrets["rsud-portal"])
    page.click(".auth-container:has(#client_id_clientCredentials) button.authorize")


def labels_of_swagger(page: Page, demo: Demo, language: str) -> tuple[set[str], str, str]:
    """Every label met on the way through two operations; what stands behind a required parameter, and the body as it is filled in."""
    found: set[str] = set()
    page.goto(f"{demo.url}/docs?lang={language}")
    page.wait_for_selector("#operations-tag-records")
    page.click(".btn.authorize")
    page.wait_for_selector(".auth-container")
    found |= set(page.evaluate(SHOWN))
    sign_in(page, demo)
    page.wait_for_selector(".auth-container h6")
    page.click(".btn-done >> nth=0")
    page.click("#operations-tag-records")
    for operation in (LIST, SEARCH):
        page.click(f"{operation} .opblock-summary-control")
        page.wait_for_selector(f"{operation} .responses-wrapper .tablinks")
        found |= set(page.evaluate(SHOWN))
        page.click(f"{operation} .try-out__btn")
        page.click(f"{operation} .execute")
        page.wait_for_selector(f"{operation} .live-responses-table tbody .response-col_status")
        page.click(f"{operation} .responses-wrapper .tablinks >> nth=1")
        page.wait_for_selector(f"{operation} .json-schema-2020-12-expand-deep-button >> nth=0")
        found |= set(page.evaluate(SHOWN))
    required = page.eval_on_selector(
        f"{SEARCH} .parameter__name.required", "one => getComputedStyle(one, '::after').content"
    )
    return found, required, page.input_value(f"{SEARCH} textarea")


def test_labels_of_swagger_are_in_the_language_of_the_page(browser: Browser, demo: Demo) -> None:
    said = {}
    for language in ("id", "en"):
        page, seen = browser.new_page(), Seen()
        seen.on(page)
        said[language] = labels_of_swagger(page, demo, language)
        assert seen.said == []
        page.close()

    assert said["id"][0] & SWAGGER_LABELS == set()
    assert said["id"][0] >= {
        "Coba",
        "Batal",
        "Jalankan",
        "Bersihkan",
        "Parameter",
        "Jawaban",
        "Isi permintaan",
        "Jawaban server",
    }
    assert SWAGGER_LABELS - said["en"][0] <= {"Default value", "Details", "No parameters"}
    assert (said["id"][1], said["en"][1]) == ('"wajib"', '"required"')
    assert said["id"][2] == said["en"][2]


def test_labels_of_redoc_are_in_the_language_of_the_page(browser: Browser, demo: Demo) -> None:
    said = {}
    for language in ("id", "en"):
        page, seen = browser.new_page(), Seen()
        seen.on(page)
        page.goto(f"{demo.url}/redoc?lang={language}")
        page.wait_for_selector('[id="operation/explain_question"]')
        said[language] = set(page.evaluate(SHOWN))
        assert seen.said == []
        page.close()

    assert said["id"] & REDOC_LABELS == set()
    assert said["id"] >= {"Jawaban", "Skema jawaban:", "Contoh permintaan", "wajib", "Salin"}
    assert said["en"] >= REDOC_LABELS - {"Request samples", "Default:"}

"""The page in a real browser: it opens without errors, sorts, filters, opens placements."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
pytestmark = pytest.mark.skipif(
    not BROWSER or not DRIVER,
    reason="needs chromium and chromedriver (Debian: apt install chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    assert BROWSER is not None
    options = ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Chrome, page: Path) -> Chrome:
    browser.get("about:blank")
    browser.get(page.as_uri())
    until(lambda: drawn_theme(browser) is not None)
    return browser


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the page did not get there in time"
        time.sleep(0.05)


def drawn_theme(browser: Chrome) -> str | None:
    theme: str | None = browser.execute_script("return document.documentElement.dataset.drawn")
    return theme


def column(browser: Chrome, index: int) -> list[str]:
    cells: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('#point-table tbody tr:not([hidden])')]"
        ".map(row => row.cells[arguments[0]].textContent)",
        index,
    )
    return cells


def test_the_page_opens_without_errors_and_draws_every_plot(opened: Chrome) -> None:
    logged: list[dict[str, str]] = opened.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in logged if entry["level"] == "SEVERE"] == []
    plots = opened.find_elements(By.CLASS_NAME, "plot")
    assert len(plots) == 8
    assert all(plot.find_elements(By.CSS_SELECTOR, "svg.marks") for plot in plots)


def test_a_click_on_a_header_sorts_and_a_second_one_turns_it_round(opened: Chrome) -> None:
    headers = opened.find_elements(By.CSS_SELECTOR, "#point-table thead th")
    titles = [header.text.strip(" ↕") for header in headers]
    index = titles.index("$/h")
    headers[index].find_element(By.TAG_NAME, "button").click()
    assert headers[index].get_attribute("aria-sort") == "ascending"
    costs = [float(cost) for cost in column(opened, index) if cost]
    assert costs == sorted(costs)
    assert len(set(costs)) > 2
    headers[index].find_element(By.TAG_NAME, "button").click()
    assert [float(cost) for cost in column(opened, index) if cost] == costs[::-1]
    assert column(opened, index)[-1] == ""


def test_filters_leave_only_what_they_name_and_reset_brings_all_back(opened: Chrome) -> None:
    total = len(column(opened, 1))
    Select(opened.find_element(By.NAME, "method")).select_by_visible_text("ratio")
    assert set(column(opened, 2)) == {"ratio"}
    assert opened.find_element(By.ID, "shown").text == f"2 of {total} rows"
    opened.find_element(By.NAME, "text").send_keys("coarsest")
    assert column(opened, 1) == ["coarsest"]
    opened.find_element(By.CSS_SELECTOR, "#filters button").click()
    until(lambda: len(column(opened, 1)) == total)


def test_a_point_opens_its_placement_by_keyboard_and_escape_closes_it(opened: Chrome) -> None:
    link = opened.find_element(By.CSS_SELECTOR, "#point-table tbody a")
    link.send_keys(Keys.ENTER)
    dialog = opened.find_element(By.ID, "placement")
    until(dialog.is_displayed)
    point_id = (link.get_attribute("href") or "").rpartition("#point-")[2]
    assert point_id in dialog.text
    stages = dialog.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(stages) == 5
    assert "V100 TP" in stages[0].text
    dialog.send_keys(Keys.ESCAPE)
    until(lambda: not dialog.is_displayed())
    assert "#point-" not in opened.current_url


def test_an_address_with_a_point_opens_it_at_once(opened: Chrome, page: Path) -> None:
    href = opened.find_element(By.CSS_SELECTOR, "#point-table tbody a").get_attribute("href")
    opened.get("about:blank")
    opened.get(f"{page.as_uri()}#{(href or '').rpartition('#')[2]}")
    until(opened.find_element(By.ID, "placement").is_displayed)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_follows_the_colour_scheme_and_fits_a_phone(opened: Chrome, theme: str) -> None:
    scheme = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        opened.refresh()
        until(lambda: drawn_theme(opened) == theme)
        widths = "return [document.documentElement.scrollWidth, window.innerWidth]"
        assert opened.execute_script(widths) == [390, 390]
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("section", ["granularities", "methods", "points"])
def test_a_long_table_keeps_its_header_in_view_and_is_printed_whole(
    opened: Chrome, section: str
) -> None:
    low = {"width": 1280, "height": 200, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", low)
    scroll = opened.find_element(By.CSS_SELECTOR, f"#{section} .scroll")
    opened.execute_script("arguments[0].scrollTop = 80", scroll)
    below_edge: float = opened.execute_script(
        "return arguments[0].querySelector('th').getBoundingClientRect().top"
        " - arguments[0].getBoundingClientRect().top",
        scroll,
    )
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden: int = opened.execute_script(
        "return arguments[0].scrollHeight - arguments[0].clientHeight", scroll
    )
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert 0 <= below_edge < 2
    assert hidden == 0

"""Takes the pictures of the report for the README: python -m tests.screenshots [PAGE] [DIR].

Needs chromium and chromedriver, as the browser test does.
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.report.test_browser import BROWSER, DRIVER, FLAGS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "results" / "reference" / "report.html"
PICTURES = ROOT / "docs" / "pictures"
# Name, width, height, colour scheme.
VIEWS = (
    ("report-light", 1180, 1100, "light"),
    ("report-dark", 1180, 1100, "dark"),
    ("report-phone", 390, 1100, "light"),
)


def main(page: Path, directory: Path) -> None:
    """Write a picture of each view."""
    directory.mkdir(parents=True, exist_ok=True)
    options = ChromeOptions()
    options.binary_location = BROWSER or ""
    for flag in (*FLAGS, "--hide-scrollbars", f"--user-data-dir={tempfile.mkdtemp()}"):
        options.add_argument(flag)
    browser = Chrome(options=options, service=Service(DRIVER))
    try:
        for name, width, height, scheme in VIEWS:
            picture = _picture(browser, page, (width, height), scheme)
            (directory / f"{name}.png").write_bytes(picture)
    finally:
        browser.quit()


def _picture(browser: Chrome, page: Path, size: tuple[int, int], scheme: str) -> bytes:
    """Return the top of the page as PNG, once its plots are drawn in a colour scheme."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get("about:blank")
    browser.get(page.resolve().as_uri())
    while browser.execute_script("return document.documentElement.dataset.drawn") != scheme:
        time.sleep(0.05)
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {})
    return base64.b64decode(taken["data"])


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*(given + [PAGE, PICTURES][len(given) :]))

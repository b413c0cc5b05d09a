"""A browser without a window, for the tests of pages (marker `needs_browser`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def open_browser(profile: Path, *flags: str) -> Iterator[webdriver.Chrome]:
    """Chromium with a profile of its own, which remembers its console and its requests, until the block ends."""
    options = Options()
    options.binary_location = installed("chromium")
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(installed("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def installed(command: str) -> str:
    path = shutil.which(command)
    assert path, f"{command} is not installed (apt-get install chromium chromium-driver)"
    return path

"""Make the picture of the page of `ccsr serve` that the README shows.

    python data/readme/page.py OUT [BROWSER]

It starts `ccsr serve` with the bundled photos, opens the page in a Chromium without a window
(`BROWSER`, else the first that is found), zooms in, and writes what is seen to `OUT`.
"""

import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
PHOTOS = ("chelsea.png", "coffee.png", "rocket.jpg")
FACTOR = "4.32"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120


def screenshot(address: str, browser: str) -> Image.Image:
    """What the page shows of the first picture, once it is exact."""
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = started.new_page(viewport={"width": 1280, "height": 820}, color_scheme="light")
        page.set_default_timeout(1000 * SECONDS)
        page.goto(address)
        page.wait_for_selector("#pictures .name")
        page.fill("#factor", FACTOR)
        page.press("#factor", "Enter")
        page.wait_for_selector("#stage[aria-busy=false]")
        page.wait_for_selector("#size:has-text('about')")
        page.evaluate("document.activeElement.blur()")
        seen = page.screenshot()
        started.close()
    return Image.open(BytesIO(seen)).convert("RGB")


def main() -> None:
    """Serve, look, and save."""
    if len(sys.argv) not in (2, 3):
        sys.exit(f"usage: python {sys.argv[0]} OUT [BROWSER]")
    browser = sys.argv[2] if len(sys.argv) > 2 else next(filter(None, map(shutil.which, BROWSERS)))
    command = [sys.executable, "-m", "ccsr", "serve", "--no-browser"]
    command += [str(SAMPLES / name) for name in PHOTOS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            picture = screenshot(server.stdout.readline().strip(), browser or "chromium")
        finally:
            server.terminate()
    picture.save(sys.argv[1], quality=88)


if __name__ == "__main__":
    main()

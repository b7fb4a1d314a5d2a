"""The page in a real browser: headless Chromium, as Debian packages it. Nothing is cut off, nothing complains."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

# the rightmost edge of all that does not scroll in a box of its own, and what the page could be scrolled to; a real
# window is never narrower than 500 pixels, so the page sits in a frame, which tells its parent
TELL = """<script>addEventListener("load", () => {
  const own = [...document.querySelectorAll("body *")].filter(one => !one.closest(".scroll *, pre *"));
  const right = Math.max(...own.map(one => one.getBoundingClientRect().right));
  const broken = [...document.images].filter(one => !one.naturalWidth).length;
  const root = document.documentElement;
  const colour = getComputedStyle(document.body).backgroundColor;
  parent.postMessage([root.clientWidth, root.scrollWidth, Math.ceil(right), broken, colour].join(" "), "*");
})</script>"""
FRAME = """<!DOCTYPE html><title>?</title><body style="margin: 0">
<script>addEventListener("message", event => { document.title = event.data })</script>
<iframe src="told.html" style="width: WIDTHpx; height: 900px; border: 0"></iframe>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return found
    pytest.skip("needs Chromium (`apt-get install chromium`)")


def look(chromium: str, page: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", profile, *words, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_is_cut_off(chromium: str, page: Path, tmp_path: Path, width: int, scheme: str) -> None:
    told = page.read_text(encoding="utf-8").replace("</body>", TELL + "</body>")
    (tmp_path / "told.html").write_text(told, encoding="utf-8")
    (tmp_path / "frame.html").write_text(FRAME.replace("WIDTH", str(width)), encoding="utf-8")
    preference = f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"
    size = f"--window-size={max(width, 500)},900"
    seen = look(chromium, tmp_path / "frame.html", tmp_path, size, preference, "--hide-scrollbars", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", seen.stdout)
    assert title is not None
    client, scroll, right, broken, colour = html.unescape(title[1]).split(" ", 4)
    assert int(client) == width
    assert int(scroll) == width
    assert int(right) <= width
    assert broken == "0"
    assert colour == {"light": "rgb(253, 253, 251)", "dark": "rgb(23, 23, 22)"}[scheme]


def test_the_console_stays_silent(chromium: str, page: Path, tmp_path: Path) -> None:
    seen = look(chromium, page, tmp_path, "--enable-logging=stderr", "--v=0", "--dump-dom")
    assert "Verdicts" in seen.stdout
    assert "CONSOLE" not in seen.stderr


def test_the_console_would_have_been_heard(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "loud.html"
    page.write_text("<!DOCTYPE html><script>console.error('loud')</script>", encoding="utf-8")
    assert "CONSOLE" in look(chromium, page, tmp_path, "--enable-logging=stderr", "--v=0", "--dump-dom").stderr


def test_it_prints(chromium: str, page: Path, tmp_path: Path) -> None:
    printed = tmp_path / "page.pdf"
    look(chromium, page, tmp_path, f"--print-to-pdf={printed}", "--no-pdf-header-footer")
    assert printed.read_bytes().startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 30

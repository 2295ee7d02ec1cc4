"""Open notebooks in JupyterLab in a real browser: headless Chromium, driven by Playwright."""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from helpers.images import to_pil

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, PROGRAMS)), None)
skip = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")
pytestmark = [pytest.mark.browser, skip]
expect.set_options(timeout=60_000)

READY = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN = """() => {
    jupyterapp.commands.execute('notebook:clear-all-cell-outputs');
    jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.ran = true; });
}"""
WIDGETS = ["explore", "run_button", "upload_button", "gallery", "quiz"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Start JupyterLab on copies of the notebooks, with the configuration of `run.py lab`."""
    folder = tmp_path_factory.mktemp("lab")
    for notebooks in ("notebooks", "tests/notebooks"):
        shutil.copytree(ROOT / notebooks, folder, dirs_exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {f"JUPYTER_{name}_DIR": str(folder) for name in ("CONFIG", "DATA", "RUNTIME")}
    settings |= {"JUPYTER_CONFIG_PATH": str(ROOT / ".jupyter"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser",
               "--allow-root", f"--port={port}", "--IdentityProvider.token=''"]
    with subprocess.Popen(command, cwd=folder, env=os.environ | settings) as server:
        while not list(folder.glob("jpserver-*.json")):     # written once the server is up
            assert server.poll() is None
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
        server.terminate()


@pytest.fixture(scope="module")
def open_notebook(lab):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)

        def run(name, minutes=2):
            """Open a notebook and run all cells; return its page and what goes wrong on it."""
            page = browser.new_page()
            wrong = []
            page.on("console", lambda line: line.type == "error" and wrong.append(line.text))
            page.goto(f"{lab}lab/tree/{name}")
            page.wait_for_function(READY, timeout=120_000)
            page.evaluate(RUN)
            page.wait_for_function("window.ran", timeout=60_000 * minutes)
            wrong += page.locator("[data-mime-type*=error]").all_text_contents()
            return page, wrong

        yield run


@pytest.fixture(scope="module")
def widgets(open_notebook):
    """The outputs of one cell of 00_foundations; its pictures have one shade of gray."""
    page, wrong = open_notebook("00_foundations.ipynb")
    outputs = page.locator(".jp-Cell", has_text="explore(lambda").locator(".jp-OutputArea-child")
    yield {name: outputs.nth(k) for k, name in enumerate(WIDGETS)}
    assert wrong == []


def check(box, text, shade=None):
    """Wait for the line of text, and for a picture of this shade."""
    expect(box.locator(".widget-html-content").last).to_have_text(text)
    if shade is not None:
        box.page.wait_for_timeout(300)
        seen = Image.open(io.BytesIO(box.locator("img").screenshot())).convert("L")
        assert seen.getpixel((seen.width // 2, seen.height // 2)) == shade


def test_explore(widgets):
    box = widgets["explore"]
    check(box, "dark 0", shade=0)
    expect(box.locator("img")).to_have_attribute("title", "dark 0")
    box.locator(".noUi-handle").press("End")
    check(box, "dark 40", shade=40)
    box.locator("select").select_option("light")
    check(box, "light 40", shade=100)


def test_run_button(widgets):
    box = widgets["run_button"]
    box.get_by_role("button", name="draw").press("Enter")
    check(box, re.compile(r"step \d{2,} …"))
    box.get_by_role("button", name="stop").press("Enter")
    check(box, re.compile(r"step \d+, loss 0.500"))


def test_upload_button_takes_more_than_ten_megabytes(widgets, tmp_path):
    box = widgets["upload_button"]
    to_pil(torch.rand(1, 3, 2000, 2000)).save(tmp_path / "noise.png", compress_level=0)
    with box.page.expect_file_chooser() as chooser:
        box.get_by_role("button", name="your picture").press("Enter")
    chooser.value.set_files(tmp_path / "noise.png")
    check(box, "1024 pixels")


def test_gallery(widgets, tmp_path):
    box = widgets["gallery"]
    box.locator(".noUi-handle").press("End")
    check(box, "200", shade=200)
    to_pil(torch.zeros(1, 3, 20, 30)).save(tmp_path / "black.png")
    box.get_by_label("or its path").fill(str(tmp_path / "black.png"))
    box.get_by_label("or its path").press("Enter")
    expect(box.locator("img")).to_have_js_property("naturalHeight", 100)


def test_quiz(widgets):
    widgets["quiz"].get_by_text("that", exact=True).click()
    check(widgets["quiz"], "✗ Not that.")


def test_figures_are_images_and_folds_are_closed(widgets):
    page = widgets["quiz"].page
    assert page.locator(".jp-RenderedImage img").count() == 9
    hidden = page.locator(".jp-Cell .jp-InputPlaceholder:visible")
    expect(hidden).to_have_count(2)
    heading = page.locator(".jp-Cell", has_text="Going deeper")
    expect(heading.get_by_role("button", name="1 cell hidden")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_run_and_their_widgets_follow(open_notebook, name):
    page, wrong = open_notebook(name, minutes=40)
    sliders = page.locator(".jp-OutputArea .noUi-handle")
    if sliders.count():
        sliders.first.press("End")
        page.wait_for_timeout(10_000)
    assert wrong == [] and page.locator("[role=status] > b").count() == 0
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")

"""The course in a real browser, as a learner has it: JupyterLab as `run.py lab` starts it, in Chromium, driven by Playwright.

Nothing may be wrong on the page, in a cell, in a widget or in the console, the kernel must live, and nothing may be requested from outside.
Each kind of widget is moved by key and by mouse in a small notebook, where the right picture is known; then the course's notebooks run.
"""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tests.after_cells import MAKES_A_WIDGET

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
PATIENCE = 60_000       # milliseconds for what takes one or two on an idle machine
A_RUN = 2_400_000       # for a whole notebook, beside other tests
PYTHON_3 = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here; Debian's comes by `apt-get install chromium`")
expect.set_options(timeout=PATIENCE)

# `run.py lab` itself, but for a course in another folder, and with the Python that runs the tests.
LAB = """import sys, run
run.ROOT, run.PYTHON, run.prepare = sys.argv[1], sys.executable, lambda: None
sys.exit(run.main("lab", *sys.argv[2:]))"""

# ---- In the page -----------------------------------------------------------------------------------------------------

READY = "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
# What goes wrong in a cell or in a widget's callback is told to the page.
LISTEN = """() => {
    window.wrong = [];
    const session = jupyterapp.shell.currentWidget.sessionContext;
    session.iopubMessage.connect((_, message) => {
        if (message.header.msg_type === 'error') wrong.push(`${message.content.ename}: ${message.content.evalue}`);
    });
    session.statusChanged.connect((_, status) => {
        if (/dead|autorestarting/.test(status)) wrong.push('the kernel has died');
    });
}"""
# Stored outputs would look done.
RUN = """which => {
    window.ran = false;
    jupyterapp.commands.execute('notebook:clear-all-cell-outputs');
    jupyterapp.commands.execute(`notebook:run-${which}`).then(() => { window.ran = true; });
}"""
# A question is answered after all that came before it; twice, since a widget holds a message back until the one before it was answered.
ANSWERED = """async () => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    for (const _ of [1, 2])
        await Promise.race([kernel.requestKernelInfo().catch(() => 0), new Promise(done => setTimeout(done, 60000))]);
}"""
RAN = "() => window.ran || window.wrong.length"
# What a learner would see: a line of text that tells of an error, a widget that isn't there, a broken picture, a broken formula.
SEEN = """() => {
    const all = what => [...document.querySelectorAll(`.jp-Notebook ${what}`)];
    const bold = all('.widget-html-content > b, .widget-html-content > [role=status] > b');
    const lines = bold.filter(b => /^\\w+:$/.test(b.textContent)).map(b => b.parentNode.textContent);
    const views = all('.jp-OutputArea-output').map(output => output.textContent)
        .filter(text => /^\\s*Error displaying widget/.test(text));
    const broken = all('img').filter(img => getComputedStyle(img).display !== 'none' && img.complete && !img.naturalWidth);
    const formulas = all('mjx-merror, mjx-mtext[style*=red]').map(e => `a broken formula: ${e.dataset.mjxError ?? e.textContent}`);
    return [...lines, ...views, ...formulas, ...broken.map(img => `a broken picture: ${img.alt || img.src}`)];
}"""


class Desk:
    """A notebook that is open in JupyterLab, and all that goes wrong meanwhile."""

    def __init__(self, lab, page, name):
        self.page, self.console, self.outside = page, [], []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.console.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.route(lambda url: not url.startswith((lab.url, "data:", "blob:")), self.block)
        page.goto(f"{lab.url}lab/tree/notebooks/{name}?reset&token={lab.token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached")
        page.wait_for_function(READY)
        page.evaluate(LISTEN)

    def block(self, route):
        self.outside.append(route.request.url)
        route.abort()

    def run(self, which="all-cells", timeout=PATIENCE):
        self.page.evaluate(RUN, which)
        self.page.wait_for_function(RAN, timeout=timeout, polling=200)
        self.settle()

    def settle(self):
        """Waits until the kernel has done all that it was asked for, and it is on the page."""
        self.page.evaluate(ANSWERED)
        self.page.wait_for_function(READY)
        expect(self.page.locator(".jp-OutputArea-output", has_text=re.compile(r"^\s*Loading widget"))).to_have_count(0)
        self.page.wait_for_timeout(500)

    def complaints(self):
        outside = [f"requested from outside: {url}" for url in self.outside]
        return [*self.page.evaluate("() => window.wrong"), *self.page.evaluate(SEEN), *self.console, *outside]

    def cell(self, index):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def close(self):
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.context.close()


# ---- Fixtures --------------------------------------------------------------------------------------------------------


def told(folder):
    """What a server that runs says of itself there, or None."""
    for path in folder.glob("jpserver-*.json"):
        with suppress(ValueError):      # half written
            return json.loads(path.read_text())


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, since it saves; its settings are those of someone who never started it before."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    places = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    with open(folder / "log", "w") as log:
        command = [sys.executable, "-c", LAB, folder, "--no-browser", "--allow-root", "--expose-app-in-browser"]
        server = subprocess.Popen(command, cwd=ROOT, env=os.environ | places | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log,
                                  start_new_session=True)
    try:
        end = time.monotonic() + 120
        while not (about := told(folder / "jupyter_runtime_dir")):
            assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.1)
        yield SimpleNamespace(url=about["url"], token=about["token"], folder=folder)
    finally:
        os.killpg(server.pid, signal.SIGTERM)       # it ends its kernels, too
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM)


@pytest.fixture(scope="module")
def open_notebook(lab, browser):
    @contextmanager
    def opened(name, cells=None, size=(1280, 1200)):
        """A notebook of the course, or one made of these cells."""
        if cells:
            nbformat.write(new_notebook(cells=cells, metadata=PYTHON_3), lab.folder / "notebooks" / name)
        desk = Desk(lab, browser.new_page(viewport=dict(zip(("width", "height"), size))), name)
        try:
            yield desk
        finally:
            desk.close()

    return opened


# ---- The lab ---------------------------------------------------------------------------------------------------------


def test_lab_opens_on_the_notebooks(lab, browser):
    page = browser.new_page()
    page.goto(f"{lab.url}?token={lab.token}")
    for name in NOTEBOOKS:
        expect(page.locator(".jp-DirListing-item", has_text=name)).to_be_visible()
    page.context.close()


# ---- What is wrong is found ------------------------------------------------------------------------------------------

WRONG = [
    (new_markdown_cell(r"$\frac{1}$"), "a broken formula: Missing argument for \\frac"),
    (new_markdown_cell(r"$\argmin f$"), "a broken formula"),
    ("HTML('<img alt=\"A cat\" src=\"data:image/png;base64,AAAA\">')", "a broken picture: A cat"),
    ("HTML('<img alt=\"A dog\" src=\"http://example.org/dog.png\">')", "requested from outside: http://example.org/dog.png"),
    ("Javascript('fetch(\"https://example.org/data\").catch(() => 0)')", "requested from outside: https://example.org/data"),
    ("Javascript('console.error(\"oh dear\")')", "oh dear"),
    ("display({'application/vnd.jupyter.widget-view+json': {'model_id': 'none'}}, raw=True)", "Error displaying widget"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
]
WRONG_LATER = [     # only a move shows it
    ("b = ipywidgets.Button(description='press')\nb.on_click(lambda _: b.clicks)\nb", "'Button' object has no attribute 'clicks'"),
    ("s = ipywidgets.IntSlider()\ns.observe(lambda _: s.moves, 'value')\ns", "'IntSlider' object has no attribute 'moves'"),
    ("explore(lambda k: (torch.zeros(1, 3, 8, 8), 'ab'[k]), k=(0, 3))", "IndexError: string index out of range"),
]
IMPORTS = "import torch, ipywidgets\nfrom IPython.display import HTML, Javascript\nfrom helpers.interact import explore"


def cells(*sources):
    return [new_code_cell(source) if isinstance(source, str) else source for source in (IMPORTS, *sources)]


def missed(expected, desk):
    found = "\n".join(desk.complaints())
    return [complaint for _, complaint in expected if complaint not in found]


def test_what_is_wrong_is_found(open_notebook):
    with open_notebook("wrong.ipynb", cells(*(source for source, _ in WRONG))) as desk:
        desk.run()
        assert missed(WRONG, desk) == []


def test_what_is_wrong_once_a_widget_is_used_is_found(open_notebook):
    with open_notebook("wrong_later.ipynb", cells(*(source for source, _ in WRONG_LATER))) as desk:
        desk.run()
        assert desk.complaints() == []
        desk.cell(1).locator("button.jupyter-button").click()
        desk.cell(2).locator(".noUi-handle").press("ArrowRight")
        desk.cell(3).locator(".noUi-handle").press("End")
        desk.settle()
        assert missed(WRONG_LATER, desk) == []


def test_a_kernel_that_dies_is_found(open_notebook):
    with open_notebook("dies.ipynb", cells("import os; os._exit(1)")) as desk:
        desk.run()
        assert desk.complaints() == ["the kernel has died"]


# ---- Each kind of widget ---------------------------------------------------------------------------------------------

# Pictures of one shade of grey each, which the line of text names. `slow` takes so long that its slider draws once it is let go.
WIDGETS = {
    "imports": """\
import time, torch
from helpers.blind import blind_choice, blind_test
from helpers.interact import ask, board, explore, live, play, upload
from helpers.optimize import Step, last""",
    "shades": """\
def grey(shade):
    return torch.full((1, 3, 48, 48), shade / 255)

def said(shade):
    return grey(shade), f"shade {shade}"

def climb(tone, to):
    for n in range(1, to + 1):
        time.sleep(0.005)
        yield Step(n, 0.0, grey(n % 100 + {"dark": 0, "light": 100}[tone]))

def three(own, shade):
    for n in range(3):
        time.sleep(0.05)
        yield (grey(shade + n), f"shade {shade + n}") if own is None else (own, f"yours, {n}")
""",
    "explore": """\
explore(lambda tone, k: said({"dark": 10, "light": 110}[tone] + k), tone=["dark", "light"],
        k=lambda tone: (0, 100 if tone == "light" else 40, 10))""",
    "slow": "explore(lambda k: (time.sleep(0.2), said(k))[1], k=(0, 200, 10))",
    "play": "play(climb, tone=['dark', 'light'], to=(20, 100_000, 100))",
    "live": "step = last(live(climb('dark', 60)))",
    "upload": "upload(lambda picture: (picture, f'shade {255 * picture.mean():.0f}'))",
    "board": "board(three, shade=(0, 200, 10))",
    "ask": "ask('What?', {'this': 'Yes, this.', 'that': 'Not that.', 'those': 'Not those.'}, right='this')",
    "blind_test": "blind_test([(grey(90), 'cat', 'waves'), (grey(130), 'dog', 'pixels')], choices=2)",
    "blind_choice": "blind_choice([(grey(30), {'a': grey(60), 'b': grey(90)})] * 2)",
}


@pytest.fixture(scope="module")
def widgets(open_notebook):
    with open_notebook("widgets.ipynb", [new_code_cell(source) for source in WIDGETS.values()]) as desk:
        desk.run()
        yield desk


@pytest.fixture
def part(widgets):
    """The output of one of the WIDGETS; afterwards nothing may be wrong that was not expected."""
    widgets.expected = []
    yield lambda name: widgets.cell(list(WIDGETS).index(name)).locator(".jp-Cell-outputArea")
    assert [found for found in widgets.complaints() if found not in widgets.expected] == []


def line(box):
    return box.locator(".widget-html-content").last


def shade(picture):
    """What is seen in the middle of a picture, from 0 to 255."""
    seen = Image.open(io.BytesIO(picture.screenshot())).convert("L")
    return seen.getpixel((seen.width // 2, seen.height // 2))


def stays(desk, box, text):
    """Waits for the line of text, and until nothing moves any more; gives the shade of the picture that is there then."""
    expect(line(box)).to_have_text(text)
    desk.settle()
    expect(line(box)).to_have_text(text)
    return shade(box.locator("img.widget-image"))


def drag(slider, places):
    """Takes a slider's handle, moves it on to these places of its way, from 0 to 1, and holds it there."""
    slider.scroll_into_view_if_needed()
    handle, way = slider.locator(".noUi-handle").bounding_box(), slider.bounding_box()
    mouse = slider.page.mouse
    mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    mouse.down()
    for place in places:
        mouse.move(way["x"] + place * way["width"], handle["y"] + handle["height"] / 2, steps=8)


def a_file(shade=180):
    file = io.BytesIO()
    Image.new("RGB", (60, 40), (shade,) * 3).save(file, "PNG")
    return {"name": "grey.png", "mimeType": "image/png", "buffer": file.getvalue()}


def choose(button, file):
    """Opens the dialogue for a file by key, and chooses one."""
    with button.page.expect_file_chooser() as chooser:
        button.press("Enter")
    chooser.value.set_files(file)


def test_a_slider_by_key(widgets, part):
    for name, first in {"explore": 10, "slow": 0}.items():
        slider = part(name).locator(".noUi-handle")
        slider.press("Home")
        assert stays(widgets, part(name), f"shade {first}") == first
        for key, moved in {"ArrowRight": 10, "ArrowUp": 20, "ArrowLeft": 10, "ArrowDown": 0}.items():
            slider.press(key)
            assert stays(widgets, part(name), f"shade {first + moved}") == first + moved
        expect(slider).to_be_focused()


def test_a_slider_by_mouse(widgets, part):
    for name, low, high in [("explore", 10, 50), ("slow", 0, 200)]:
        slider = part(name).locator(".noUi-target")
        slider.locator(".noUi-handle").press("Home")
        stays(widgets, part(name), f"shade {low}")
        drag(slider, [0.5, 0.3, 1.2])
        # A quick picture follows the mouse; one that takes longer waits until the slider is let go.
        stays(widgets, part(name), f"shade {high if name == 'explore' else low}")
        widgets.page.mouse.up()
        assert stays(widgets, part(name), f"shade {high}") == high


def by_key(dropdown, key):
    """Space opens the list, and there the arrow keys are the browser's; on a closed list they are JupyterLab's, and go to another cell."""
    dropdown.press("Space")
    dropdown.page.keyboard.press(key)
    dropdown.page.keyboard.press("Enter")


def test_a_dropdown_and_the_slider_that_depends_on_it(widgets, part):
    box = part("explore")
    dropdown, slider = box.locator("select"), box.locator(".noUi-handle")
    slider.press("End")
    assert stays(widgets, box, "shade 50") == 50
    dropdown.select_option("light")
    assert stays(widgets, box, "shade 150") == 150
    for _ in range(2):
        slider.press("ArrowRight")
    assert stays(widgets, box, "shade 170") == 170
    by_key(dropdown, "ArrowUp")
    assert stays(widgets, box, "shade 50") == 50, "with dark the slider ends at 40"
    by_key(dropdown, "ArrowDown")
    assert stays(widgets, box, "shade 150") == 150
    dropdown.select_option("dark")
    expect(slider).to_have_attribute("aria-valuemax", "40.0")


def test_buttons_that_draw_and_stop(widgets, part):
    box = part("play")
    draw, stop = box.get_by_role("button", name="draw"), box.get_by_role("button", name="stop")
    expect(stop).to_be_disabled()
    draw.click()
    assert stays(widgets, box, re.compile("^step 20, loss 0.000, .* pictures a second$")) == 20
    expect(stop).to_be_disabled()
    box.locator(".noUi-handle").press("End")
    draw.press("Enter")
    expect(line(box)).to_have_text(re.compile("^step [1-9]..,"))
    stop.press("Space")
    expect(draw).to_be_enabled()
    widgets.settle()
    step = int(re.match(r"step (\d+)", line(box).text_content())[1])
    assert step < 90_000 and shade(box.locator("img.widget-image")) == step % 100


def test_a_live_run_leaves_its_last_picture(widgets, part):
    assert stays(widgets, part("live"), "step 60, loss 0.000") == 60


def test_an_upload(widgets, part):
    box = part("upload")
    button = box.get_by_role("button", name="your picture")
    choose(button, a_file())
    assert stays(widgets, box, "shade 180") == 180
    choose(button, {"name": "letter.png", "mimeType": "image/png", "buffer": b"Dear friend"})
    expect(line(box)).to_have_text(re.compile(r"^ValueError: .* .*\.$"))
    widgets.expected = [line(box).text_content()]
    choose(button, a_file(shade=90))
    assert stays(widgets, box, "shade 90") == 90


def test_a_board(widgets, part):
    box, done = part("board"), re.compile(r"^Pictures: 3; the first after .* s, the last after .* s, done$")
    status = box.locator(".jp-OutputArea-output > .widget-vbox > .widget-html .widget-html-content")
    pictures = box.locator("img.widget-image")
    box.locator(".noUi-handle").press("End")
    expect(line(box)).to_have_text("shade 202")
    expect(status).to_have_text(done)
    widgets.settle()
    assert [shade(picture) for picture in pictures.all()] == [200, 201, 202]
    choose(box.get_by_role("button", name="your picture"), a_file())
    expect(line(box)).to_have_text("yours, 2")
    expect(status).to_have_text(done)
    widgets.settle()
    assert [shade(picture) for picture in pictures.all()] == [180] * 3
    expect(box.get_by_role("button", name="your picture")).to_contain_text("(1)")


def test_a_question(widgets, part):
    box = part("ask")
    box.get_by_text("that", exact=True).click()
    expect(line(box)).to_have_text("✗ Not that.")
    for key, answer in {"Tab": "✗ Not those.", "Shift+Tab": "✗ Not that."}.items():
        widgets.page.keyboard.press(key)
        widgets.page.keyboard.press("Space")
        expect(line(box)).to_have_text(answer)


def test_blind_tests(widgets, part):
    box = part("blind_test")
    for n, (name, seen) in enumerate([("cat", 90), ("cat", 130)], 1):
        assert stays(widgets, box, f"Picture {n} of 2: what is it?") == seen
        box.get_by_role("button", name=name).press("Enter")
    expect(line(box)).to_have_text("Done. waves: 1 of 1 right, by chance 0.5; pixels: 0 of 1 right, by chance 0.5.")
    box = part("blind_choice")
    for n, side in enumerate(["left", "right"], 1):
        expect(line(box)).to_have_text(re.compile(f"Round {n} of 2: "))
        box.get_by_role("button", name=side).click()
    expect(line(box)).to_have_text(re.compile(r"^Done. Chosen: a \d, b \d of 2.$"))


# ---- By key alone ----------------------------------------------------------------------------------------------------

CONTROLS = "select, .noUi-handle, button.jupyter-button:not([disabled]), input[type=radio]"
UNREACHED = "controls => controls.filter(e => !visited.has(e)).map(e => e.outerHTML.slice(0, 120))"


def unreached(desk, cell):
    """Controls in a cell's output that Tab does not come to, from the cell itself."""
    controls = cell.locator(".jp-Cell-outputArea").locator(CONTROLS)
    cell.locator(".jp-Cell-inputArea .jp-InputPrompt").click()
    desk.page.evaluate("() => { window.visited = new Set(); }")
    for _ in range(2 * controls.count() + 12):
        desk.page.keyboard.press("Tab")
        desk.page.evaluate("() => { visited.add(document.activeElement); }")
    return controls.evaluate_all(UNREACHED)


def test_every_control_is_reached_by_tab(widgets):
    for index, name in enumerate(WIDGETS):
        assert unreached(widgets, widgets.cell(index)) == [], name


def test_a_control_that_tab_passes_by_is_found(open_notebook):
    with open_notebook("passed_by.ipynb", [new_code_cell("from ipywidgets import IntSlider\nIntSlider()")]) as desk:
        desk.run()
        assert unreached(desk, desk.cell(0)) == []
        desk.cell(0).locator(".noUi-handle").evaluate("handle => { handle.tabIndex = -1; }")
        assert len(unreached(desk, desk.cell(0))) == 1


# ---- Slides ----------------------------------------------------------------------------------------------------------

ACTIVE = "jupyterapp.shell.currentWidget.content.activeCell.model"
SLIDE_TYPES = "() => jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.metadata.slideshow?.slide_type ?? '')"
VISIBLE = "() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(cell => cell.checkVisibility({visibilityProperty: true}))"


@contextmanager
def slides(desk):
    """Within it the notebook is shown as slides; JupyterLab would remember that for the next notebook."""
    desk.page.get_by_title("Toggle Deck").click()
    expect(desk.page.locator(".jp-Notebook .jp-deck-mod-visible").first).to_be_visible()
    try:
        yield
    finally:
        desk.page.get_by_role("button", name="Exit Deck").click()
    expect(desk.page.locator(".jp-Notebook .jp-deck-mod-visible")).to_have_count(0)


def go_on(desk, done, presses=100):
    """Presses the right arrow until a condition holds."""
    while not done():
        assert (presses := presses - 1) >= 0, "the slides do not go on"
        desk.page.keyboard.press("ArrowRight")
        desk.page.wait_for_timeout(300)


def test_slides_with_a_live_widget(open_notebook):
    kind = lambda slide_type: {"slideshow": {"slide_type": slide_type}}
    explore = "explore(lambda k: (torch.full((1, 3, 48, 48), k / 255), f'shade {k}'), k=(0, 200, 10))"
    deck = [new_markdown_cell("# One", metadata=kind("slide")), new_markdown_cell("A note.", metadata=kind("notes")),
            new_code_cell(IMPORTS, metadata=kind("slide")), new_code_cell(explore, metadata=kind("fragment")),
            new_markdown_cell("# Two", metadata=kind("slide"))]
    with open_notebook("slides.ipynb", deck, size=(1280, 720)) as desk, slides(desk):
        assert desk.page.evaluate(VISIBLE) == [True, False, False, False, False]
        go_on(desk, lambda: desk.page.evaluate(VISIBLE)[2], presses=3)
        desk.page.keyboard.press("Shift+Enter")
        expect(desk.cell(3)).to_be_visible()
        desk.page.keyboard.press("Control+Enter")
        assert stays(desk, desk.cell(3), "shade 0") == 0
        desk.cell(3).locator(".noUi-handle").press("PageUp")
        assert stays(desk, desk.cell(3), "shade 50") == 50
        desk.page.get_by_role("button", name="Go to next slide").click()       # an arrow key is the slider's now
        expect(desk.cell(4)).to_be_visible()
        assert desk.complaints() == []


def test_the_first_notebook_as_slides(open_notebook):
    with open_notebook(NOTEBOOKS[0], size=(1280, 720)) as desk:
        if not any(desk.page.evaluate(SLIDE_TYPES)):
            pytest.skip("no cell of the first notebook says of which slide it is a part")
        with slides(desk):
            first = desk.page.evaluate(VISIBLE)
            go_on(desk, lambda: desk.page.evaluate(VISIBLE) != first, presses=3)
            go_on(desk, lambda: desk.page.evaluate(f"{ACTIVE}.type") == "code")
            desk.run("all-above")       # as before a lecture
            desk.page.keyboard.press("Control+Enter")
            desk.page.wait_for_function(f"() => {ACTIVE}.executionCount")
            desk.settle()
            assert desk.complaints() == []


# ---- The course's notebooks ------------------------------------------------------------------------------------------


LEFT_OUT = """() => jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model)
    .filter(cell => cell.type === 'code' && !cell.executionCount).map(cell => cell.sharedModel.source)"""


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_top_to_bottom_and_its_widgets_answer(open_notebook, name):
    """One session for all: a run takes minutes."""
    with open_notebook(name) as desk:
        desk.run(timeout=A_RUN)
        assert desk.complaints() == [] and desk.page.evaluate(LEFT_OUT) == []
        has_controls = lambda cell: cell.locator(".jp-Cell-outputArea").locator(CONTROLS).count()
        boxes = list(filter(has_controls, desk.page.locator(".jp-Notebook .jp-CodeCell").all()))
        assert bool(boxes) == bool(MAKES_A_WIDGET.search((ROOT / "notebooks" / name).read_text(encoding="utf-8")))
        if not boxes:       # the problems have no widgets
            return
        assert [found for cell in boxes for found in unreached(desk, cell)] == []
        desk.settle()
        explore = next(cell for cell in boxes if cell.locator(".noUi-handle").count() and not cell.locator("button.jupyter-button").count())
        said, seen = line(explore).text_content(), explore.locator("img.widget-image").screenshot()
        explore.locator(".noUi-handle").last.press("ArrowRight")
        expect(line(explore)).not_to_have_text(said)
        desk.settle()
        assert explore.locator("img.widget-image").screenshot() != seen
        assert desk.complaints() == []


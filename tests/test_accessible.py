"""For readers who see otherwise, or not at all: alt texts, headings, tables, colours, contrast, and what widgets tell a screen reader."""

import html
import re
from functools import cache, partial
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path

import nbformat
import pytest
import torch
from ipywidgets import HTML, Box, Button, Dropdown, FileUpload, FloatSlider, Image, IntSlider, RadioButtons
from matplotlib import color_sequences
from matplotlib.colors import to_rgb
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from skimage.color import rgb2lab

from helpers.blind import blind_choice, blind_test
from helpers.exercises.quiz import QUESTIONS, on_paper
from helpers.interact import Line, Picture, Screen, ask, board, explore, play, upload
from helpers.nets import load_net
from helpers.recipes import poster
from helpers.show import chart, compare, dots, film, heat, outline
from tests.drive import parts

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
read = cache(partial(nbformat.read, as_version=4))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


# ---- Alt texts: each rule yields what is wrong with the pictures of one output, [(alt, caption, data), ...] ----------

METHODS = """saliency, SmoothGrad, integrated gradients, deconvnet, guided backprop, Grad-CAM, Grad-CAM, earlier, occlusion, GrabCut, PCA,
    t-SNE, DeepDream, seeds, gradient, random, centre, contrast, detail, edges, the map, the mask, the picture, the photograph"""
NAMES = {name.strip().casefold() for name in METHODS.split(",")} | {name.casefold() for name in load_net("coursenet").classes}
NUMBERED = "conv|relu|pool|fc|block|stem|head|layer|channel|step|weight"
BARE = re.compile(rf"[\d.,%×x]+|({NUMBERED})[\w. -]*\d[\w.]*|[\w/.-]+\.(png|webp|jpe?g|svg)", re.I)
ALONE, IN_A_ROW = 6, 3          # words at least


class Figures(HTMLParser):
    """The pictures of a page, [alt, caption, data]."""

    def __init__(self, page):
        super().__init__()
        self.found, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            about = dict(attributes)
            self.found.append([about.get("alt") or "", "", about.get("src", "")])
        self.inside = self.inside or tag == "figcaption"

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "figcaption"

    def handle_data(self, data):
        if self.inside:
            self.found[-1][1] += data


def figures(notebook):
    """The pictures of each output, and those of the prose, in the order of the page."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield Figures(re.sub(r"!\[(.*?)\]\((.*?)\)", lambda m: f'<img alt="{html.escape(m[1])}" src="{m[2]}">', cell.source)).found
        for output in cell.get("outputs", []):
            yield Figures(output.get("data", {}).get("text/html", "")).found


def is_name(text):
    """Whether a text is a bare name: of a layer, a class, a method or a file, or a number; an article before it does not help."""
    text = re.sub(r"^(an?|the) ", "", text.strip(" .:"), flags=re.I)
    return text.casefold() in NAMES or f"the {text}".casefold() in NAMES or bool(BARE.fullmatch(text))


def names(row):
    yield from (f"“{alt}” is a name" for alt, _, _ in row if is_name(alt))


def captions(row):
    """A caption is read out anyway."""
    yield from (f"“{alt}” is the caption" for alt, caption, _ in row if alt.strip().casefold() == caption.strip().casefold())


def short(row):
    least = ALONE if len(row) == 1 else IN_A_ROW
    yield from (f"“{alt}” has fewer than {least} words" for alt, _, _ in row if len(alt.split()) < least)


def alike(row):
    """Different pictures with one text; or with texts that differ in nothing but a name, or in what the captions say."""
    yield from (f"“{a}” is said of two pictures" for (a, _, one), (b, _, other) in combinations(row, 2) if a == b and one != other)
    words = [alt.split() for alt, _, _ in row]
    if len(row) > 2:
        first = next((n for n, column in enumerate(zip(*words)) if len(set(column)) > 1), 0)
        last = next((n for n, column in enumerate(zip(*(line[::-1] for line in words))) if len(set(column)) > 1), 0)
        rests = [" ".join(line[first:len(line) - last]) for line in words]
        if first + last and all(is_name(rest) or rest and rest in caption for rest, (_, caption, _) in zip(rests, row)):
            yield f"“{row[0][0]}” and its neighbours differ in names only: {rests}"


ALT_RULES = [names, captions, short, alike]


@each_notebook
@pytest.mark.parametrize("rule", ALT_RULES, ids=lambda rule: rule.__name__)
def test_alt_texts_say_what_is_to_be_seen(rule, path):
    complaints = [complaint for row in figures(read(path)) for complaint in rule(row)]
    assert not complaints, "\n".join([path.name, *complaints])


@each_notebook
def test_no_alt_text_serves_many_pictures(path):
    shown = {}
    for alt, _, data in sum(figures(read(path)), []):
        shown.setdefault(alt, set()).add(data)
    assert not [alt for alt, pictures in shown.items() if len(pictures) > 2]


def test_the_readme_says_what_its_pictures_show():
    page = new_notebook(cells=[new_markdown_cell((ROOT / "README.md").read_text(encoding="utf-8"))])
    row = [figure for figure in sum(figures(page), []) if not figure[2].startswith("https://")]        # badges are links with a name
    assert row and not [complaint for figure in row for rule in ALT_RULES for complaint in rule([figure])]


SEEN = [("Bright on the head of the cat", "occlusion", "a"), ("Speckle all over the cat", "saliency", "b"),
        ("Bright on the cat and beside it", "Grad-CAM", "c")]
BAD = [
    (names, [("relu4", "", "a"), ("The occlusion", "", "b"), ("a school bus", "", "c"), ("map_3.png", "", "d")]),
    (captions, [("Where it is sensitive", "where it is sensitive", "a")]),
    (short, [("A dahlia", "", "a"), ("Bright on the flower", "", "b")]),
    (short, [("Two falling curves", "the loss", "a")]),
    (alike, [("The same to the eye", "one", "a"), ("The same to the eye", "two", "b")]),
    (alike, [(f"Four maps: {name}", name, name) for name in ("occlusion", "saliency", "centre")]),
    (alike, [(f"The pavilion in strokes, weight {n}", f"weight {n}, style", str(n)) for n in (1, 4, 16)]),
    (alike, [(f"The dream, {name}", name, name) for name in ("no jitter", "no octaves", "all of it")]),
]


@pytest.mark.parametrize("rule", ALT_RULES, ids=lambda rule: rule.__name__)
def test_a_rule_lets_pass_what_describes(rule):
    assert not list(rule(SEEN)) and not list(rule([("One curve that falls ever more slowly", "the loss", "a")]))
    assert not list(rule([("The same cat, in coarse pixels", "one", "a"), ("The same cat, in coarse pixels", "two", "a")]))


@pytest.mark.parametrize("rule, row", BAD, ids=[rule.__name__ for rule, _ in BAD])
def test_a_rule_finds_what_does_not_describe(rule, row):
    assert list(rule(row))


# ---- Headings and tables ---------------------------------------------------------------------------------------------


def wrong_headings(notebook):
    """One title; no level is left out; no two headings of a notebook are the same, or a list of them would lead nowhere."""
    prose = "\n".join(re.sub(r"^```.*?^```", "", cell.source, flags=re.S | re.M) for cell in notebook.cells if cell.cell_type == "markdown")
    found = [(len(marks), text.strip()) for marks, text in re.findall(r"^(#{1,6}) (.*)$", prose, re.M)]
    levels = [level for level, _ in found]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield f"expected one heading of level 1, and first of all; found levels {levels[:5]}"
    yield from (f"“{text}” is of level {level}, after one of level {before}"
                for before, (level, text) in zip(levels, found[1:]) if level > before + 1)
    texts = [text for _, text in found]
    yield from (f"“{text}” is there {texts.count(text)} times" for text in dict.fromkeys(texts) if texts.count(text) > 1)


def wrong_tables(notebook):
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        for table in re.findall(r"<table.*?</table>", output.get("data", {}).get("text/html", ""), re.S):
            heads = re.findall(r"<th\b([^>]*)>(.*?)</th>", table, re.S)
            if not heads or any("scope=" not in about or not text.strip() for about, text in heads):
                yield f"a table whose header cells do not all say what they are for: {table[:60]}"


def notebook_of(*cells, page=""):
    table = new_code_cell(outputs=[new_output("display_data", {"text/html": page})])
    return new_notebook(cells=[*map(new_markdown_cell, cells), table])


@each_notebook
@pytest.mark.parametrize("rule", [wrong_headings, wrong_tables], ids=lambda rule: rule.__name__)
def test_a_screen_reader_finds_its_way(rule, path):
    assert not list(rule(read(path)))


@pytest.mark.parametrize("cells", [("## a",), ("# a", "# b"), ("# a", "### b"), ("# a\n## b", "## b"), ("## a", "# b")])
def test_wrong_headings_are_found(cells):
    assert list(wrong_headings(notebook_of(*cells)))
    assert not list(wrong_headings(notebook_of("# a\n## b\n```\n# no heading\n# a\n```", "### c\n## d")))


@pytest.mark.parametrize("head", ["<th>a</th>", "<th scope='col'></th>", "<td>a</td>"])
def test_wrong_tables_are_found(head):
    assert list(wrong_tables(notebook_of("# a", page=f"<table><tr>{head}</tr></table>")))
    assert not list(wrong_tables(notebook_of("# a", page="<table><tr><th scope='col'>a</th></tr></table>")))


# ---- Colours, for eyes that lack one kind of cone --------------------------------------------------------------------

# Machado, Oliveira & Fernandes 2009, at full severity; they act on linear light.
EYES = {
    "all cones": torch.eye(3),
    "no L cones": torch.tensor([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "no M cones": torch.tensor([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "no S cones": torch.tensor([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
TOLD_APART = 15         # in CIELAB; about 2 can just be seen with one patch beside the other
each_eye = pytest.mark.parametrize("eye", EYES)


def linear(colours):
    return torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def seen(colours, eye):
    """What an eye sees of colours, (n,3) -> CIELAB (n,3)."""
    light = (linear(torch.as_tensor(colours).float()) @ EYES[eye].T).clamp(0, 1)
    return torch.from_numpy(rgb2lab(torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055).numpy()))


def nearest(colours, eye):
    """How near the two come that are nearest to each other."""
    return torch.pdist(seen(colours, eye)).min().item()


def hexes(source):
    return [to_rgb(colour) for colour in dict.fromkeys(re.findall(r'"(#[0-9a-fA-F]{6})"', source))]


@each_eye
def test_brighter_means_more(eye):
    lightness = seen(heat(torch.linspace(0, 1, 64)[None])[0, :, 0].T, eye)[:, 0]
    assert (lightness.diff() > 0.2).all() and lightness[-1] - lightness[0] > 80


@each_eye
def test_above_and_below_zero_are_told_apart(eye):
    signed = seen(heat(torch.linspace(-1, 1, 65)[None], signed=True)[0, :, 0].T, eye)
    assert (signed[:33, 0].diff() > 0).all() and (signed[32:, 0].diff() < 0).all()          # to white and back
    assert ((signed - signed.flip(0)).norm(dim=1)[:25] > TOLD_APART).all()                  # from a quarter of the range on


@each_eye
def test_lines_frames_and_marks_are_told_apart(eye):
    assert nearest([to_rgb(colour) for colour in color_sequences["petroff10"][:8]], eye) > TOLD_APART
    grey, seeds = torch.full((1, 3, 16, 16), 0.5), torch.ones(1, 16, 16, dtype=torch.int)
    marked = [dots(grey, seeds)[0], dots(grey, -seeds)[0], outline(grey, seeds.bool() & (torch.arange(16) > 7))[0]]
    assert nearest(torch.cat([picture.flatten(1).T for picture in marked]).unique(dim=0), eye) > TOLD_APART
    assert all(nearest([to_rgb(one), to_rgb(other)], eye) > 5          # large areas side by side, each with a heading
               for (_, _, one, _), (_, _, other, _) in pairwise(poster.COLUMNS))


def test_a_palette_that_some_eyes_cannot_use_is_found():
    assert nearest(color_sequences["tab10"][:8], "all cones") > TOLD_APART > nearest(color_sequences["tab10"][:8], "no L cones")


@each_eye
@each_notebook
def test_colours_that_a_cell_names_are_told_apart(path, eye):
    sources = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    assert not [source for source in sources if len(hexes(source)) > 1 and nearest(hexes(source), eye) < TOLD_APART]


@each_notebook
def test_charts_take_the_palette(path):
    sources = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    assert sources.count("import pyplot") == sources.count('plt.style.use("petroff10")') == 1
    assert sources.index("import pyplot") < sources.index("plt.style.use") < sources.index("plt.subplots")
    assert not re.search(r"tab\d\d|jet\b|rainbow|hsv|Set\d|cm\.\w+", sources)


# ---- Contrast ----------------------------------------------------------------------------------------------------------

THEMES = {"light": ("#212121", "#ffffff"), "dark": ("#ffffff", "#111111")}      # JupyterLab's text and ground


def contrast(one, other):
    """The ratio of WCAG 2: from 1 to 21."""
    light, dark = sorted((float(linear(torch.tensor(to_rgb(c))) @ torch.tensor([0.2126, 0.7152, 0.0722])) for c in (one, other)),
                         reverse=True)
    return (light + 0.05) / (dark + 0.05)


def faint(page):
    """Styles that leave text with a contrast of less than 4.5 in one of JupyterLab's themes, [(theme, style), ...]."""
    for style in re.findall(r"""style=["']([^"']*)["']""", page):
        said = dict(re.findall(r"(?:^|;)\s*(color|background|background-color|opacity)\s*:\s*([^;]+)", style))
        for theme, (text, ground) in THEMES.items():
            text, ground = said.get("color", text).strip(), said.get("background", said.get("background-color", ground)).strip()
            if "opacity" in said or contrast(text, ground) < 4.5:
                yield theme, style


def shown_by_helpers():
    from matplotlib import pyplot
    grey = torch.full((1, 3, 4, 4), 0.5)
    yield compare(grey, grey[0, 0], captions=["a", "b"], alt=["c", "d"], credit="by me").data
    yield chart(pyplot.figure(), "a", alt="b").data
    yield film([grey], "a", alt="b").data
    yield on_paper(QUESTIONS[:1])
    for widget in widgets().values():
        yield from (line.value for line in parts(widget, HTML))


def test_text_of_the_helpers_can_be_read_on_light_and_on_dark():
    assert not [found for page in shown_by_helpers() for found in faint(page)]


@each_notebook
def test_text_of_a_notebook_can_be_read_on_light_and_on_dark(path):
    for cell in read(path).cells:
        pages = [cell.source] if cell.cell_type == "markdown" else [o.get("data", {}).get("text/html", "") for o in cell.outputs]
        assert not [found for page in pages for found in faint(page)]


def test_words_of_the_poster_can_be_read():
    for *_, tint, _ in poster.COLUMNS:
        assert contrast(poster.INK, tint) > 4.5 and contrast(poster.CHANGE, tint) > 4.5 and contrast(poster.ARROW, tint) > 3
    assert contrast("#555555", "#ffffff") > 4.5


@pytest.mark.parametrize("style, themes", [
    ("color:#777777", ["light", "dark"]),
    ("color: #222222; font-size:90%", ["dark"]),
    ("color:#222222;background:#ffffff", []),
    ("opacity:0.4", ["light", "dark"]),
    ("font-size:90%", []),
])
def test_faint_text_is_found(style, themes):
    assert [theme for theme, _ in faint(f'<p style="{style}">')] == themes
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


# ---- Widgets -----------------------------------------------------------------------------------------------------------

GREY = torch.full((1, 3, 8, 8), 0.5)


def widgets():
    """One of each kind."""
    cards = [(GREY, name, "pixels") for name in ("cat", "dog", "fox", "owl")]
    screen = Screen()
    screen.show(GREY, "step 3, loss 0.5")
    return {
        "explore": explore(lambda layer, k: (GREY, f"channel {k} of<br>{layer} &amp; more"), layer=["a", "b"], k=(0, 3)),
        "play": play(lambda share: iter(()), share=(0.0, 1.0)),
        "upload": upload(lambda image: (image, "yours")),
        "board": board(lambda own, k: [(GREY, f"the {n}th") for n in range(2)], k=[1, 2]),
        "ask": ask("Which?", {"this": "Yes.", "that": "No."}, right="this"),
        "blind_test": blind_test(cards),
        "blind_choice": blind_choice([(GREY, {"pixels": GREY, "waves": GREY})]),
        "live": screen,
    }


each_kind = pytest.mark.parametrize("kind", ["explore", "play", "upload", "board", "ask", "blind_test", "blind_choice", "live"])


@each_kind
def test_each_control_has_a_name(kind):
    """Its description; of a question's answers, the question before them."""
    box = widgets()[kind]
    assert all(control.description.strip() for control in parts(box, Button, Dropdown, FileUpload, FloatSlider, IntSlider))
    for choice in parts(box, RadioButtons):
        before = box.children[box.children.index(choice) - 1]
        assert re.sub("<.*?>", "", before.value).strip() and all(map(str.strip, choice.options))


@each_kind
def test_each_picture_tells_what_it_shows(kind):
    """In its title, what the line beside it says; a picture that is not there yet is hidden."""
    for holder in parts(widgets()[kind], Box):
        for picture, line in zip(holder.children, holder.children[1:]):
            if isinstance(picture, Image):
                assert isinstance(picture, Picture) and isinstance(line, HTML) and picture.get_state()["description"] == ""
                plain = " ".join(html.unescape(re.sub("<.*?>", " ", line.value)).split())
                assert picture.layout.display == "none" or picture.tooltip == plain != ""


def test_a_line_is_read_out_when_it_changes_and_not_while_it_will_change_again():
    line, sent = Line("fine"), lambda: line.get_state()["value"]
    assert sent() == '<span role="status">fine</span>' and line.value == "fine"
    line.value = "Pictures: 2 …"
    assert sent() == "Pictures: 2 …"


@each_kind
def test_what_a_widget_says_is_in_such_a_line(kind):
    assert len(parts(widgets()[kind], Line)) == 1


def test_who_answers_by_key_stays_on_the_button():
    box = widgets()["blind_test"]
    before = box.children[1].children
    before[0].click()
    assert box.children[1].children == before and "Picture 2 of 4" in parts(box, Line)[0].value


@each_notebook
def test_all_widgets_of_the_notebooks_are_made_by_the_helpers(path):
    assert not [cell for cell in read(path).cells if cell.cell_type == "code" and "ipywidgets" in cell.source]

"""The programs of scripts/ run on little data: they train, resume, and measure."""

import json
import re
import runpy
from contextlib import nullcontext

import nbformat
import pytest
import torch
import torch.nn.functional as F
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from safetensors.torch import load_file

import badges
import benchmark
import budgets
import common
import cue_conflict
import grabcut_initializations
import method_map
import notebooks
import photographs
import regularizers
import render_scenes
import robustness_curve
import slides
import train_coursenet
import train_style
from helpers.images import load_tiles, to_pil
from helpers.networks import CourseNet, load_net, read_weights
from helpers.scenes import scenes
from helpers.style import STYLES, load_transform_net
from run import PROGRAMS, ROOT

CLASSES = load_net("coursenet").classes[:3]
PROGRAMS = [name for name in PROGRAMS if name not in ("common", "tiny_imagenet")]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_explains_itself(name, capsys):
    program = runpy.run_path(str(ROOT / "scripts" / f"{name}.py"))    # `site` is Python's, too
    with pytest.raises(SystemExit, match="0"):
        program["main"](["--help"])
    assert program["__doc__"].split()[0] in capsys.readouterr().out


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three classes of flat colors with noise, in the layout of Tiny ImageNet."""
    root = tmp_path_factory.mktemp("tiny")
    generator = torch.Generator().manual_seed(0)

    def save(k, path):
        color = F.one_hot(torch.tensor(k), 3).view(1, 3, 1, 1)
        noise = torch.rand(1, 3, 64, 64, generator=generator)
        path.parent.mkdir(parents=True, exist_ok=True)
        to_pil(0.8 * color + 0.2 * noise).save(path)

    for i in range(24):
        save(i % 3, root / f"train/n{i % 3}/images/{i}.png")
    for i in range(6):
        save(i % 3, root / f"val/images/{i}.png")
    rows = [f"{i}.png\tn{i % 3}\t8\t8\t39\t55\n" for i in range(6)]
    (root / "val/val_annotations.txt").write_text("".join(rows))
    (root / "wnids.txt").write_text("n0\nn1\nn2\n")
    (root / "words.txt").write_text("".join(f"n{k}\t{CLASSES[k]}, else\n" for k in range(3)))
    return root


@pytest.fixture
def options(data, tmp_path, monkeypatch):
    gray = torch.full((8, 3, 64, 64), 128, dtype=torch.uint8), torch.arange(8)
    monkeypatch.setattr(train_coursenet, "training_scenes", lambda: gray)
    monkeypatch.setattr(train_coursenet, "CLEAN_EPOCHS", 1)
    monkeypatch.setattr(train_coursenet, "bf16_autocast", lambda device: nullcontext())
    return ["--data", str(data), "--out", str(tmp_path), "--epochs", "2", "--batch", "16"]


def test_coursenet_resumes_to_the_same_weights(options, tmp_path, monkeypatch):
    options.append("--robust")
    train_coursenet.main([*options, "--work", str(tmp_path / "a")])
    whole, metadata = read_weights(tmp_path / "coursenet-robust.safetensors")
    assert metadata["classes"][:3] == CLASSES and len(metadata["log"]) == 2
    filters = load_file(tmp_path / "coursenet-robust-filters.safetensors")
    assert {name: f.shape[1:] for name, f in filters.items()} == dict.fromkeys(
        ["epoch0", "epoch1", "epoch2"], (3, 7, 7))
    epochs = iter([train_coursenet.train_epoch, 1 / 2, train_coursenet.train_epoch])
    monkeypatch.setattr(train_coursenet, "train_epoch", lambda *args: next(epochs)(*args))
    with pytest.raises(TypeError):      # interrupted in the second epoch
        train_coursenet.main([*options, "--work", str(tmp_path / "b")])
    train_coursenet.main([*options, "--work", str(tmp_path / "b"), "--resume"])
    resumed, _ = read_weights(tmp_path / "coursenet-robust.safetensors")
    torch.testing.assert_close(resumed, whole, rtol=0, atol=1e-3)


def test_folding_changes_nothing(images):
    torch.manual_seed(0)
    coursenet = CourseNet("abc")
    net = train_coursenet.with_batch_norm(coursenet)
    train_coursenet.initialize(net, 0.05)
    net(images)         # the batch norms see some statistics
    expected = net.eval()(images)
    folded = train_coursenet.fold(net, coursenet)
    torch.testing.assert_close(folded(images), expected, rtol=1e-4, atol=1e-5)
    assert list(folded.state_dict()) == list(CourseNet("abc").state_dict())


def test_the_style_network_trains_and_resumes(data, tmp_path):
    options = ["--photos", str(data / "val/images"), "--out", str(tmp_path / "style.safetensors"),
               "--checkpoint", str(tmp_path / "style.pt"), "--size", "32", "--style-size", "64"]
    train_style.main([*options, "--batch", "1", "--steps", "1"])
    train_style.main([*options, "--batch", "1", "--steps", "1", "--resume"])
    net = load_transform_net(tmp_path / "style.safetensors")
    assert list(net.styles) == list(STYLES)
    assert net(torch.rand(1, 3, 32, 40), 0).shape == (1, 3, 32, 40)


def test_the_map_of_methods_is_drawn():
    gray = dict.fromkeys(method_map.SHEET["methods"], torch.full((1, 3, 8, 8), 0.5))
    fig = method_map.draw(gray)
    assert len(fig.axes[0].images) == len(gray)


def test_the_benchmark_measures_two_scenes(data, tmp_path, monkeypatch):
    for module in (benchmark, photographs):
        monkeypatch.setattr(module, "SIZE", {"coursenet": 64})
    monkeypatch.setattr(common, "DATA", tmp_path)
    benchmark.main(["--scenes", "2", "--write"])
    photographs.main(["--data", str(data), "--each", "1", "--write"])
    methods = json.loads((tmp_path / "benchmark.json").read_text())["coursenet"]["methods"]
    assert methods["ground-truth mask"]["pointing game"]["mean"] == 1
    boxes = json.loads((tmp_path / "photographs.json").read_text())
    assert set(methods) - {"ground-truth mask"} == set(boxes["coursenet"])


def test_grabcut_starts_from_each_map():
    nets = {"coursenet": load_net("coursenet"), "robust": load_net("coursenet-robust")}
    results = grabcut_initializations.measure(nets, scenes()[:2], "background")
    assert set(results) == {"center", "coursenet", "robust", "robust times center"}
    assert all(((row["IoU"] >= 0) & (row["IoU"] <= 1)).all() for row in results.values())


def test_attacks_are_worse_than_noise():
    net = load_net("coursenet")
    world = scenes()[:3]
    inputs = (net, world.images, world.labels + 64)
    accuracy = lambda epsilon, attack: robustness_curve.accuracy(*inputs, epsilon, "l2", attack)
    assert accuracy(0.0, "PGD") == accuracy(0.0, "random") >= accuracy(1.0, "random")
    assert accuracy(1.0, "PGD") < accuracy(1.0, "random")


def test_regularizers_are_tuned_on_one_half_of_the_classes(monkeypatch, random_net):
    monkeypatch.setattr(regularizers, "STEPS", (1, 2))
    generator = torch.Generator()
    row = regularizers.methods(generator)["jitter"]
    found = regularizers.tune(random_net, random_net, generator, *row)
    assert found["steps"] in (1, 2) and found["strength"] in (4, 8) and 0 <= found["accuracy"] <= 1


def test_shape_bias_by_hand():
    shape = torch.tensor([0, 0, 1, 1])
    texture = torch.tensor([1, 2, 2, 0])
    predicted = torch.tensor([0, 2, 1, 2])      # shape, texture, shape, neither
    assert cue_conflict.shape_bias(predicted, shape, texture)[0] == pytest.approx(2 / 3)


def test_scenes_are_stored_as_they_are_read(tmp_path):
    world = scenes()[:32]
    render_scenes.save_scenes(world, tmp_path)
    stored = load_tiles(tmp_path / "masks.png", 64)[:, 0] > 127
    assert torch.equal(stored, world.masks)


def test_a_notebook_is_executed_and_stored(tmp_path, capsys):
    cells = [new_markdown_cell("# A"), new_code_cell("print(6 * 7)"),
             new_code_cell("import ipywidgets; ipywidgets.IntSlider()"), new_code_cell("1 / 0")]
    notebook = new_notebook(cells=cells[:3])
    path = tmp_path / "a.ipynb"
    assert notebooks.execute(notebook, path)[2] is None and "a  cell 1" in capsys.readouterr().out
    notebooks.store(notebook, path)
    stored = nbformat.read(path, as_version=4)
    assert stored.cells[1].outputs[0].text == "42\n" and "widgets" not in stored.metadata
    assert stored.cells[2].outputs[0].data == {"text/plain": notebooks.STILL}
    assert "ZeroDivisionError" in notebooks.execute(new_notebook(cells=cells[3:]), path)[2]


def test_cells_are_folded_by_one_tag():
    tagged = {"metadata": {"tags": ["fold", "still"]}}
    hidden = {"metadata": {"tags": ["hide-input"], "cellView": "form"}}
    notebook = new_notebook(cells=[
        new_markdown_cell("## A", **tagged), new_code_cell("1", **tagged),
        new_code_cell("2", **hidden)])
    for _ in range(2):
        notebooks.fold(notebook)
        assert [cell.metadata for cell in notebook.cells] == [
            {"jp-MarkdownHeadingCollapsed": True, "tags": ["fold", "still"]},
            {"tags": ["fold", "still", "hide-input"], "jupyter": {"source_hidden": True},
             "cellView": "form"},
            {}]


def test_the_deck_opens_without_a_network_and_has_the_code_that_it_needs(tmp_path):
    slides.main([str(tmp_path)])
    page = (tmp_path / "deck.html").read_text(encoding="utf-8")
    assert 'src="reveal/dist/reveal.js"' in page and (tmp_path / "reveal/dist/reveal.js").exists()
    assert 'src="http' not in page and "slide-title" in page
    cells = nbformat.read(tmp_path / "deck.ipynb", as_version=4).cells
    shown = [cell for cell in cells if slides.is_slide(cell)]
    minutes = [cell.metadata.lecture.minutes for cell in shown]
    levels = [cell.metadata.lecture.get("level", "") for cell in shown]
    until = lambda *most: sum(minute for minute, level in zip(minutes, levels) if level in most)
    assert 45 <= until("") <= 50 and 65 <= until("", "+") <= 70
    text = (notebooks.NOTEBOOKS / "LECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| ([\d, +]+) \| [^|]* \| ([\d.]+) \|$", text, re.M)
    numbers = [re.findall(r"(\d+)(\+*)", row) for row, _ in rows]
    assert [sum(minutes[int(k) - 1] for k, _ in row) for row in numbers] == [
        float(total) for _, total in rows]
    listed = sorted((int(k), mark) for row in numbers for k, mark in row)
    assert listed == list(enumerate(levels, 1))


def test_slides_come_with_what_computes_their_names():
    slide = {"slideshow": {"slide_type": "slide"}}
    sources = ["import re", "a = 1", "b = a", "%timeit b", "def f(x):\n    return b + x", "a = 2"]
    cells = [*map(new_code_cell, sources), new_code_cell("print(f(1))", metadata=slide)]
    assert [cell.source for cell in slides.with_code(cells)] == [
        "a = 1", "b = a", sources[4], "print(f(1))"]


def test_badges_replace_one_address(tmp_path, monkeypatch):
    text = "mybinder.org/v2/gh/ORG/REPO/HEAD https://github.com/ORG/REPO github.com/ORG/REPOS"
    (tmp_path / "README.md").write_text(text)
    monkeypatch.setattr(badges, "ROOT", tmp_path)
    badges.main(["octocat/course"])
    assert (tmp_path / "README.md").read_text() == text.replace("ORG/REPO", "octocat/course", 2)
    assert "ORG/REPO" in badges.main(["course"])


def test_budgets_count_words_and_lines(capsys):
    prose = "Four words, *and* `one`\n\n<details>folded</details>\n\n## References\n\nLong list"
    folded = new_code_cell("x\n\ny", metadata={"tags": ["fold"]})
    notebook = new_notebook(cells=[new_markdown_cell(prose), folded, new_code_cell("z")])
    assert budgets.count_words(notebook) == 4
    assert budgets.code_lines(notebook, folded=True) == 2
    assert budgets.code_lines(notebook, folded=False) == 1
    budgets.main(["05"])
    assert "scripts" in capsys.readouterr().out

"""Executing notebooks: one kernel for each, what is told and what is stored."""

import os
import re
from pathlib import Path

import nbformat
import pytest

from helpers.recipes import notebooks

WIDGET = """\
from IPython.display import display
display({"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider(value=1)"}, raw=True)"""


def test_notebooks_are_executed_told_and_stored(tmp_path, capfd):
    """One kernel for two small notebooks would hide a failure, so each has its own; the second one fails in cell 2."""
    cell = nbformat.v4.new_code_cell
    good, bad = tmp_path / "01_good.ipynb", tmp_path / "02_bad.ipynb"
    for path, sources in {good: ["x = 6", "print(7 * x)", WIDGET], bad: ["y = 1", "x + y", "print('not reached')"]}.items():
        cells = [nbformat.v4.new_markdown_cell("# Title"), *map(cell, sources)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    before = bad.read_bytes()

    assert notebooks.main(["--inplace", "--out", str(tmp_path / "html"), str(good), str(bad)]) == 1

    out, err = capfd.readouterr()
    assert "01_good  cell 3/3" in out and "02_bad  cell 1/3" in out
    assert "failed: 02_bad, cell 2/3: NameError" in err
    stored = nbformat.read(good, as_version=4)
    assert stored.cells[2].outputs[0].text == "42\n" and stored.cells[2].execution_count == 2
    assert stored.cells[3].outputs[0].data == {"text/plain": "(A widget: it appears when the notebook runs.)"}
    assert "widgets" not in stored.metadata and "execution" not in stored.cells[2].metadata
    assert bad.read_bytes() == before, "a notebook that fails is not stored"
    assert ">42" in (tmp_path / "html" / "01_good.html").read_text(encoding="utf-8")
    assert "NameError" in (tmp_path / "html" / "02_bad.html").read_text(encoding="utf-8")


def test_pages_of_gpu_libraries_are_counted():
    smaps = """\
7f00-7f10 r-xp 00000000 08:01 11   /my nvidia/env/lib/site-packages/torch/lib/libtorch_cuda.so
Size:               64 kB
Rss:                40 kB
Pss:                30 kB
7f10-7f20 r--p 00000000 08:01 12   /my nvidia/env/lib/site-packages/torch/lib/libtorch_cpu.so
Size:               64 kB
Rss:               500 kB
7f20-7f30 r--p 00000000 08:01 13   /env/site-packages/nvidia/cu13/lib/libcublas.so.13
Size:               64 kB
Rss:                60 kB
7f30-7f40 rw-p 00000000 00:00 0
Rss:               700 kB
7f40-7f50 r-xp 00000000 08:01 14   /env/site-packages/triton/_C/libtriton.so
Rss:              1000 kB
"""
    assert notebooks.gpu_libraries(smaps) == 1100 * 1024 / 1e6


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system has no /proc")
def test_peak_memory_of_a_process_and_of_none():
    ours = notebooks.peak_memory(os.getpid())
    assert re.fullmatch(r", \d+ MB at most(, \d+ MB of it the pages of GPU libraries)?", notebooks.memory_note(*ours))
    assert notebooks.peak_memory(2 ** 30) == (0, 0) and notebooks.memory_note(0, 0) == ""


def test_another_network_takes_its_place():
    source = f'{notebooks.LOOK}    # or another\ntry:\n    big, looks = {notebooks.LOADED}'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("Look."), nbformat.v4.new_code_cell(source)])
    notebooks.with_another(notebook, "squeezenet1_1")
    assert 'LOOK = "squeezenet1_1"' in notebook.cells[1].source and "load_net(LOOK, weights=None), False" in notebook.cells[1].source
    with pytest.raises(SystemExit, match="does not look"):
        notebooks.with_another(notebook, "vgg11")


def test_what_means_nothing_is_not_stored(capsys):
    with pytest.raises(SystemExit):
        notebooks.main(["--inplace", "--look", "vgg11", "x.ipynb"])
    assert "not to be stored" in capsys.readouterr().err

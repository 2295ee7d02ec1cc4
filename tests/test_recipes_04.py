"""What 04_summary shows was measured beforehand: photographs with boxes, and the strength of methods. By hand, and as stored."""

import json

import pytest
import torch

from helpers.nets import DATA
from helpers.recipes.league import SIZE
from helpers.recipes.photographs import SHARES, WAYS, WHOLE, around, chosen, cut, found_by, inside, overlap, summary
from helpers.recipes.strengths import REFERENCE
from helpers.recipes.tiny_imagenet import read_boxes


def test_a_box_holds_its_last_pixel():
    boxes = torch.tensor([[1, 0, 2, 3], [0, 0, 3, 3]])          # left, top, right, bottom
    masks = inside(boxes, 4)
    assert masks.sum((1, 2)).tolist() == [8, 16] and masks[0].nonzero().amin(0).tolist() == [0, 1]
    assert around(masks).tolist() == [[1, 0, 3, 4], [0, 0, 4, 4]]
    assert overlap(masks, boxes).tolist() == [1, 1]
    assert overlap(masks.flip(0), boxes).tolist() == [0.5, 0.5]         # 8 of 16


def test_a_map_is_cut_above_a_share_of_its_maximum_and_its_largest_part_is_kept():
    m = torch.zeros(1, 6, 6)
    m[0, 0, 0], m[0, 3:5, 3:5], m[0, 5, 0] = 1.0, 0.6, 0.2
    assert cut(m, 0.5)[0].nonzero().tolist() == [[3, 3], [3, 4], [4, 3], [4, 4]]
    assert cut(m, 0.9)[0].nonzero().tolist() == [[0, 0]]


def test_a_way_is_chosen_on_one_half_and_judged_on_the_other():
    tried = torch.tensor([[True, False, True, False], [False, True, False, True]])      # the first way finds the even ones
    tried = torch.cat([tried, torch.zeros(len(WAYS) - 2, 4, dtype=torch.bool)])
    found, ways = found_by(tried)
    assert not found.any() and ways == [WAYS[1], WAYS[0]]       # what is best on one half fails on the other
    assert found_by(torch.ones(len(WAYS), 4, dtype=torch.bool))[0].all()


def test_photographs_of_each_class_in_turn():
    assert chosen(torch.tensor([0, 0, 1, 1, 0, 1]), 2).tolist() == [0, 2, 1, 3]


def test_boxes_are_read_in_the_order_of_the_pictures(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "wnids.txt").write_text("n2\nn1\n")
    rows = "a.png\tn1\t1\t2\t3\t4\nb.png\tn9\t0\t0\t0\t0\nc.png\tn2\t5\t6\t7\t8\n"
    (tmp_path / "val/val_annotations.txt").write_text(rows)
    assert read_boxes(tmp_path).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_an_error_is_a_wrong_box_or_a_wrong_name():
    right = torch.tensor([True, True, False, False])
    row = {"pointing": right.float(), "mass": right.float(), "box": right, "ways": [], "box at 15%": right, "box by GrabCut": right}
    figures = summary({"centre": row, WHOLE: row}, torch.tensor([0, 3, 0, 9]), torch.tensor([True, True, True, False]))
    assert figures["centre"]["error, top 1"][0] == 0.75 and figures["centre"]["error, top 5"][0] == 0.5
    assert figures["centre"]["box, small objects"][0] == pytest.approx(2 / 3) and figures["centre"]["box better than centre"][0] == 0


def test_the_stored_photographs_are_whole():
    stored = json.loads((DATA / "photographs.json").read_text())
    assert stored["command"].startswith("python -m helpers.recipes.photographs") and stored["networks"].keys() == SIZE.keys()
    for played in stored["networks"].values():
        assert played["photographs"] >= 300 and {"centre", "contrast", "occlusion", WHOLE} <= played["methods"].keys()
        for method, row in played["methods"].items():
            assert row["box"][1] <= row["box"][0] <= row["box"][2] and row["error, top 5"][0] <= row["error, top 1"][0]
            assert row["error, top 1"][0] >= 1 - row["box"][0] - 1e-6 and row["error, top 1"][0] >= 1 - played["named right, top 1"] - 1e-6
            assert all(share in SHARES for _, share in row["ways"]), method


def test_the_stored_strengths_are_whole():
    stored = json.loads((DATA / "strengths.json").read_text())
    assert stored["command"].startswith("python -m helpers.recipes.strengths") and stored["reference"] == REFERENCE
    for method, tried in stored["methods"].items():
        assert len(tried) >= 4 and tried[REFERENCE[method]]["pointing"]["better than the reference"] == [0, 0, 0]

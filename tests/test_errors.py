"""The words of errors: what came, and the names that are near."""

import numpy as np
import pytest
import torch

from helpers.errors import describe, unknown


class Box:
    shape = (2, 3)


@pytest.mark.parametrize("x, words", [(torch.zeros(2, 3), "a float32 tensor of shape (2, 3)"), (None, "None"), ([1], "a list"),
                                      (np.zeros((2, 3)), "a float64 ndarray of shape (2, 3)"), (Box(), "a Box")])
def test_what_came(x, words):
    assert describe(x) == words


def test_at_most_three_near_names():
    error = unknown("layer", "relu", [f"relu{n}" for n in range(1, 7)])
    assert isinstance(error, KeyError) and str(error).startswith("There is no layer 'relu'. Did you mean 'relu")
    assert str(error).count(" or ") == 2 and str(unknown("layer", "x", ["conv1", 2])) == "There is no layer 'x'. Known: conv1, 2."

import pytest
import torch

from helpers.precision import fast, has_bf16


@pytest.mark.parametrize("instructions, expected", [({"avx512_bf16": True}, True), ({"avx512_bf16": False}, False), ({}, False)])
def test_the_processor_is_asked(monkeypatch, instructions, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
    assert has_bf16("cpu") is expected
    with fast("cpu"):
        assert torch.is_autocast_enabled("cpu") is expected
    with fast(torch.device("cpu"), exact=True):
        assert not torch.is_autocast_enabled("cpu")


def test_an_old_pytorch_cannot_be_asked(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_bf16("cpu") is False


def test_no_bf16_elsewhere():
    assert has_bf16("mps") is False

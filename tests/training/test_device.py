from __future__ import annotations

import pytest
import torch

from beamwright.errors import ExperimentError
from beamwright.training import resolve_device
from beamwright.training.device import amp_dtype, conv_layout, seeded


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type == "cpu"


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ExperimentError, match=r'device = "cuda" is not there: this process sees cpu\. Use one of'
    ):
        resolve_device("cuda")


def test_mixed_precision_is_for_cards_unless_asked_for(monkeypatch: pytest.MonkeyPatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert amp_dtype("auto", cpu) is None
    assert amp_dtype("auto", cuda) is torch.float16
    assert amp_dtype("bfloat16", cpu) is torch.bfloat16
    assert amp_dtype("float32", cuda) is None


def test_seeding_ends_with_its_block():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with seeded(torch.device("cpu"), 1, 2):
        first = torch.rand(2)
    with seeded(torch.device("cpu"), 1, 2):
        assert torch.equal(torch.rand(2), first)
    with seeded(torch.device("cpu"), 1, 3):
        assert not torch.equal(torch.rand(2), first)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("ndim", "layout"),
    [(1, torch.contiguous_format), (2, torch.channels_last), (3, torch.channels_last_3d)],
)
def test_channels_come_last_in_images_and_volumes(ndim: int, layout: torch.memory_format):
    assert conv_layout(ndim) is layout

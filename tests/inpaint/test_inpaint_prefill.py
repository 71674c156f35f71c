"""The first guess inside the network: normalised convolution, its reach, its cost, tiles and export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from beamwright.errors import SpaceError
from beamwright.export import export_onnx, onnx_predict, parity
from beamwright.search_spaces import Architecture, Candidate, Stage, estimate_cost, receptive_radius
from beamwright.search_spaces.prefill import Prefill
from beamwright.tasks.scaling import normalise_sparse, restore_units
from beamwright.training import Deployable
from beamwright.training.predicting import run_module


def _sparse(shape: tuple[int, int], value: float | np.ndarray, *, share: float = 0.1) -> torch.Tensor:
    weight = (np.random.default_rng(0).random(shape) < share).astype(np.float32)
    return torch.from_numpy(np.stack([weight * value, weight])[None].astype(np.float32))  # (1, 2, H, W)


def test_a_constant_is_filled_in_exactly() -> None:
    channels, filled = Prefill((1.5, 4.0, 12.0), ndim=2)(_sparse((60, 70), 3.0))
    assert channels.shape == (1, 8, 60, 70)
    torch.testing.assert_close(filled, torch.full_like(filled, 3.0), rtol=1e-3, atol=0)
    torch.testing.assert_close(channels[:, 6:7], filled)


def test_one_scale_is_the_textbook_quotient() -> None:
    image = np.random.default_rng(1).normal(size=(50, 64))
    x = _sparse((50, 64), image, share=0.5)
    _, filled = Prefill((2.0,), ndim=2)(x)
    value, weight = x[0].double().numpy()
    blur = {"sigma": 2.0, "mode": "constant", "truncate": 3.0}
    expected = ndimage.gaussian_filter(value, **blur) / ndimage.gaussian_filter(weight, **blur)
    np.testing.assert_allclose(filled[0, 0].numpy(), expected, atol=0.01)


def test_the_finest_scale_with_a_point_in_reach_counts() -> None:
    x = torch.zeros(1, 2, 81, 81)
    x[:, :, 40, 30], x[:, :, 40, 50] = torch.tensor([1.0, 1.0]), torch.tensor([-1.0, 1.0])
    channels, filled = Prefill((1.0, 8.0), ndim=2)(x)
    coarse = channels[:, 2:3]
    assert filled[0, 0, 40, 30] == pytest.approx(1, abs=0.05)
    assert coarse[0, 0, 40, 30] < 0.95
    torch.testing.assert_close(filled[..., 40], coarse[..., 40])  # ten pixels from both


def test_without_a_single_point_everything_is_finite() -> None:
    channels, filled = Prefill((1.5, 4.0), ndim=2)(torch.zeros(2, 2, 20, 30))
    assert not channels.any()
    assert not filled.any()


@pytest.mark.parametrize("ndim", [1, 3])
def test_spectra_and_volumes(ndim: int) -> None:
    x = torch.ones(1, 2, *[9] * ndim)
    torch.testing.assert_close(Prefill((1.0,), ndim=ndim)(x)[1], x[:, :1], rtol=0.02, atol=0)


def test_a_half_is_not_enough_for_small_densities() -> None:
    prefill = Prefill((1.5, 12.0), ndim=2)
    x = _sparse((40, 40), 3.0, share=0.02)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = prefill(x)[1]
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, prefill(x)[1])


@pytest.mark.parametrize("scales", [(4.0, 1.5), (0.0, 2.0), (2.0, 2.0)])
def test_scales_that_are_none(scales: tuple[float, ...]) -> None:
    with pytest.raises(SpaceError, match="must be scales above 0 px, ascending, of a network that takes"):
        Architecture.from_dict(
            {"stages": [{"block": "plain", "width": 4, "depth": 1}], "in_channels": 2, "prefill": scales}
        )


def test_values_need_their_weights() -> None:
    with pytest.raises(SpaceError, match="in_channels = 2, not 1"):
        Architecture.from_dict({"stages": [{"block": "plain", "width": 4, "depth": 1}], "prefill": [2.0]})


def test_the_prefill_is_part_of_what_a_candidate_costs_and_sees() -> None:
    stage = Stage(block="plain", width=8, depth=1)
    plain, filling = (
        Architecture(stages=(stage,), in_channels=2, out_channels=2, skips="none", prefill=scales)
        for scales in ((), (1.5, 4.0))
    )
    assert receptive_radius(filling) == receptive_radius(plain) + 12
    costs = [estimate_cost(Candidate(architecture=item)).macs_per_pixel for item in (plain, filling)]
    # Two axes of two images at each scale, and four channels more for the first convolution.
    assert costs[1] - costs[0] == pytest.approx(2 * 2 * (2 * 5 + 1 + 2 * 12 + 1) + 4 * 8 * 9)


def test_nothing_beyond_the_halo_changes_a_pixel(module: Deployable) -> None:
    halo = module.halo
    assert halo is not None
    edge = 2 * halo + 41
    x = _sparse((edge, edge), 0.5, share=0.2)
    middle = edge // 2
    with torch.no_grad():
        before = module(x)
        for distance, changes in ((halo + 1, False), (9, True)):  # nine: within the Gaussian of 3 px
            other = x.clone()
            other[:, :, middle, middle + distance] = torch.tensor([5.0, 1000.0])
            difference = (module(other) - before)[..., middle, middle].abs().max()
            assert bool(difference > 0) == changes


def test_tiles_equal_the_whole(module: Deployable, scan: np.ndarray) -> None:
    whole, tiled = (
        run_module(module, scan, pixels=pixels, layout=torch.contiguous_format) for pixels in (1e9, 80**2)
    )
    assert whole.shape == scan.shape
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_the_export_takes_values_and_doses_alone(
    module: Deployable, scan: np.ndarray, tmp_path: Path
) -> None:
    path = export_onnx(module, tmp_path / "model.onnx", channels=2)
    other = np.stack([scan[:, :64, :96], scan[:, 64:128, 20:116]])
    assert parity(module, path, [scan[None], other, np.zeros_like(other)]) < 1e-4
    with torch.no_grad():
        expected = module(torch.from_numpy(scan)[None])[0].numpy()
    np.testing.assert_allclose(onnx_predict(path)(scan), expected, atol=1e-4)


def test_weights_are_the_share_of_contrast_and_units_come_back() -> None:
    images = torch.tensor([[0.4, 9.0, 0.9], [0.0, 6.0, 1e9]])[None, :, None]  # (1, 2, 1, 3)
    found = normalise_sparse(images, mean=0.4, std=0.5, half_dose=6.0)[0, :, 0]
    torch.testing.assert_close(found[0], torch.tensor([0.0, 17.2, 1.0]))
    torch.testing.assert_close(found[1], torch.tensor([0.0, 0.5, 1.0]))
    output = torch.tensor([1.0, 0.0])[None, :, None]
    image, logarithm = restore_units(output, mean=0.4, std=0.5)[0, :, 0]
    assert image == pytest.approx(0.9)
    assert logarithm.exp() == pytest.approx(0.25)  # one variance of the data

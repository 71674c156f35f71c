from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from beamwright.errors import BundleError
from beamwright.export import OPSET, export_onnx, measure_latency, onnx_predict, parity
from beamwright.search_spaces import Architecture, Stage

PLAIN = Architecture(
    stages=(
        Stage(block="plain", width=4, depth=1),
        Stage(block="plain", width=8, depth=1, downsample="max"),
    )
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The module and its file, exported once."""
    from beamwright.search_spaces import build
    from beamwright.training import Deployable

    torch.manual_seed(0)
    deployable = Deployable(build(PLAIN), mean=100.0, std=10.0)
    return deployable, export_onnx(deployable, tmp_path_factory.mktemp("onnx") / "model.onnx")


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (1, 1, 2, 31), (3, 1, 64, 64), (2, 1, 37, 50), (1, 1, 33, 128)]
)
def test_any_batch_and_size_agrees_with_torch(exported, shape):
    image = np.random.default_rng(0).poisson(100, shape)
    assert parity(*exported, [image]) < 1e-5


def test_the_file_is_closed_and_portable(exported):
    deployable, path = exported
    content = path.read_bytes()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [entry.version for entry in model.opset_import] == [OPSET]
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "halo": str(deployable.halo),
        "divisor": "2",
    }
    names = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert names == ["batch", 1, "y", "x"]
    assert b".py" not in content  # neither stack traces nor this machine's paths
    assert list(path.parent.iterdir()) == [path]


def test_the_module_is_left_as_it_was(exported, tmp_path):
    deployable, _ = exported
    deployable.train()
    before = {name: value.clone() for name, value in deployable.state_dict().items()}
    export_onnx(deployable, tmp_path / "again.onnx")
    assert deployable.training
    deployable.eval()
    for name, value in deployable.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_the_same_weights_give_the_same_file(exported, tmp_path):
    deployable, path = exported
    assert export_onnx(deployable, tmp_path / "again.onnx").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(stages=PLAIN.stages, ndim=1, skips="add", upsample="transpose"),
        Architecture(stages=PLAIN.stages, ndim=3, upsample="linear"),
        Architecture(stages=PLAIN.stages, skips="indices", norm="batch"),
        Architecture(
            stages=PLAIN.stages, upsample="subpixel", norm="layer", bottleneck="aspp", activation="gelu"
        ),
        Architecture(stages=PLAIN.stages, norm="instance", bottleneck="attention", residual=True),
        Architecture(stages=(Stage(block="convnext", width=8, depth=2, kernel=5),), activation="silu"),
    ],
    ids=["1d", "3d", "unpooling", "aspp", "global", "convnext"],
)
def test_architectures_export(make_deployable, tmp_path, architecture):
    deployable = make_deployable(architecture)
    path = export_onnx(deployable, tmp_path / "model.onnx")
    rng = np.random.default_rng(0)
    images = [
        rng.poisson(100, (batch, 1, *(size,) * architecture.ndim)) for batch, size in ((1, 16), (2, 23))
    ]
    assert parity(deployable, path, images) < 1e-5


def test_predict_is_the_deployed_path(exported):
    deployable, path = exported
    image = np.random.default_rng(0).poisson(100, (60, 45)).astype(np.uint16)
    with torch.inference_mode():
        expected = deployable(torch.from_numpy(image.astype(np.float32))[None, None])[0, 0].numpy()
    np.testing.assert_allclose(onnx_predict(path)(image), expected, atol=1e-3)


def test_predict_cuts_large_images(exported, monkeypatch):
    image = np.random.default_rng(0).poisson(100, (120, 90)).astype(np.float32)
    whole = onnx_predict(exported[1])(image)
    monkeypatch.setattr("beamwright.export.onnx._TILE_PIXELS", 50 * 50)
    np.testing.assert_allclose(onnx_predict(exported[1])(image), whole, atol=1e-4 * np.ptp(whole))


def test_parity_sees_a_difference(exported):
    deployable, path = exported
    image = np.random.default_rng(0).poisson(100, (1, 1, 32, 32))
    with torch.no_grad():
        deployable.mean += 1
    try:
        assert parity(deployable, path, [image]) > 1e-3
    finally:
        with torch.no_grad():
            deployable.mean -= 1
    assert parity(deployable, path, [np.full((1, 1, 8, 8), np.nan)]) == np.inf


def test_latency_is_per_megapixel(exported):
    small, large = (measure_latency(exported[1], shape, repeats=3) for shape in ((128, 128), (256, 256)))
    assert 0 < small < 1e5
    assert 0.1 < small / large < 10


class Branching(nn.Module):
    """What a trace would freeze: a branch on the size, and one constant per size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.arange(x.shape[-1]) + (1 if x.shape[-1] > 5 else 2) + len(range(x.shape[-2]))


def test_nothing_is_frozen_without_a_word(tmp_path):
    try:
        path = export_onnx(Branching(), tmp_path / "model.onnx")
    except BundleError:
        return
    assert parity(Branching(), path, [np.ones((1, 1, 20, 30)), np.ones((1, 1, 51, 60))]) == 0


def test_a_flat_output_is_no_failure(exported):
    assert parity(*exported, [np.full((1, 1, 1, 1), 100.0)]) < 1e-4


def test_both_exporters_agree(exported, tmp_path, monkeypatch):
    deployable, path = exported
    image = np.random.default_rng(0).poisson(100, (37, 52))
    monkeypatch.setattr("beamwright.export.onnx._by_script", lambda *args: None)
    other = export_onnx(deployable, tmp_path / "other.onnx")
    np.testing.assert_allclose(onnx_predict(other)(image), onnx_predict(path)(image), atol=1e-3)


class Untraceable(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float(x.sum().item()) if x.sum() > 0 else x


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"torch cannot export this network to ONNX"):
        export_onnx(Untraceable(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []

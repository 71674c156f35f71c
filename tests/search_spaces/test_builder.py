"""Any architecture builds, keeps the shape, trains, sees as far as it says, and exports."""

from __future__ import annotations

import io
import warnings
from typing import get_args

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.search_spaces import (
    NETWORKS,
    Architecture,
    SpaceLimits,
    Stage,
    build,
    named,
    receptive_radius,
)
from beamwright.search_spaces import architecture as fields
from beamwright.search_spaces.builder import Network

torch.set_num_threads(1)

CHECKED = settings(max_examples=20, deadline=None, derandomize=True)


@st.composite
def architectures(draw: st.DrawFn, *, local: bool | None = None) -> Architecture:
    skips = draw(st.sampled_from(get_args(fields.Skips)))
    halvings = ["max"] if skips == "indices" else ["max", "average", "stride"]
    stages = []
    for level in range(draw(st.integers(1, 3))):
        downsamples = ["none", "none", *halvings] if level == 0 else ["none", *halvings * 2]
        stages.append(
            Stage(
                block=draw(st.sampled_from(get_args(fields.Block))),
                width=draw(st.integers(4, 9)),
                depth=draw(st.integers(1, 2)),
                downsample=draw(st.sampled_from(downsamples)),
                dilation=draw(st.sampled_from([1, 1, 2])),
                kernel=draw(st.sampled_from([1, 3, 5])),
            )
        )
    residual = draw(st.booleans())
    norms = ["none", "batch", "layer"] if local else get_args(fields.Norm)
    return Architecture(
        stages=tuple(stages),
        ndim=draw(st.sampled_from([1, 2, 2, 3])),
        in_channels=1 if residual else 2,
        residual=residual,
        skips=skips,
        bottleneck=draw(st.sampled_from(["none", "aspp"] if local else get_args(fields.Bottleneck))),
        decoder_depth=draw(st.integers(0, 2)),
        upsample=draw(st.sampled_from(get_args(fields.Upsample))),
        norm=draw(st.sampled_from(norms)),
        activation=draw(st.sampled_from(get_args(fields.Activation))),
    )


def scrambled(architecture: Architecture) -> Network:
    """Return a network in use: no weight is left at zero, and batch statistics are not those of the start."""
    torch.manual_seed(0)
    network = build(architecture)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        network(torch.randn(2, architecture.in_channels, *[12] * architecture.ndim))
    return network.eval()


def image(architecture: Architecture, *size: int, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, architecture.in_channels, *size[: architecture.ndim], generator=generator)


@CHECKED
@given(architectures(), st.tuples(*[st.integers(1, 17)] * 3))
def test_shape_is_kept_at_any_size(architecture: Architecture, size: tuple[int, ...]) -> None:
    network = build(architecture).eval()
    x = image(architecture, *size)
    assert network(x).shape == (2, architecture.out_channels, *x.shape[2:])


@CHECKED
@given(architectures(), st.sampled_from(["he", "xavier", "orthogonal"]))
def test_a_step_has_finite_gradients(architecture: Architecture, initialiser: str) -> None:
    torch.manual_seed(0)
    network = build(architecture, dropout=0.1, initialiser=initialiser).to(torch.float32).train()
    if architecture.ndim == 2:
        network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    for _ in range(2):  # the first step may leave zero-initialised bodies without gradients
        optimiser.zero_grad()
        network(image(architecture, 9, 10, 11)).square().mean().backward()
        optimiser.step()
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


@CHECKED
@given(architectures(local=True))
def test_nothing_beyond_the_halo_counts(architecture: Architecture) -> None:
    network = scrambled(architecture).double()
    halo = receptive_radius(architecture)
    assert network.halo == halo
    line = architecture.model_copy(update={"ndim": 1})  # the same reach, in a dimension that is cheap
    network = scrambled(line).double()
    size = 2 * halo + 5 * architecture.divisor + 3
    x = image(line, size).double().requires_grad_()
    centre = halo + 2 * architecture.divisor
    for position in range(centre, centre + architecture.divisor):
        (slope,) = torch.autograd.grad(network(x)[..., position].sum(), x)
        seen = slope.abs().sum((0, 1)).nonzero().flatten()
        assert int((seen - position).abs().max()) <= halo


@pytest.mark.parametrize("name", ["unet", "resunet", "dncnn"])
def test_the_halo_is_exact(name: str) -> None:
    architecture = named(name, limits=SpaceLimits(ndim=1, max_levels=3)).architecture
    architecture = architecture.model_copy(update={"activation": "silu", "norm": "none"})
    network = scrambled(architecture).double()
    halo, divisor = receptive_radius(architecture), architecture.divisor
    x = image(architecture, 2 * halo + 4 * divisor, batch=1).double().requires_grad_()
    reach = 0
    for position in range(halo + divisor, halo + 2 * divisor):
        (slope,) = torch.autograd.grad(network(x)[..., position].sum(), x, retain_graph=True)
        pools = architecture.stages[-1].downsample == "max"  # a maximum looks at one of its pixels
        seen = slope.abs().sum((0, 1)).nonzero().flatten()
        reach = max(reach, int((seen - position).abs().max()) + (divisor if pools else 0))
    assert reach >= halo


def onnx_session(network: Network, x: torch.Tensor) -> onnxruntime.InferenceSession:
    axes = {0: "batch", **{axis: f"size{axis}" for axis in range(2, x.ndim)}}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this exporter deprecated; it is the one that is quick
        torch.onnx.export(
            network,
            (x,),
            file,
            dynamo=False,
            opset_version=17,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": axes, "y": axes},
        )
    return onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])


def worst_difference(architecture: Architecture, *sizes: tuple[int, ...]) -> float:
    network = scrambled(architecture)
    session = onnx_session(network, image(architecture, 16, 16, 16))
    worst = 0.0
    for size in sizes:
        x = image(architecture, *size, batch=3)
        with torch.no_grad():
            ours = network(x).numpy()
        (theirs,) = session.run(None, {"x": x.numpy()})
        worst = max(worst, float(np.abs(ours - theirs).max() / max(1.0, np.abs(ours).max())))
    return worst


@CHECKED
@given(architectures(local=True))
def test_onnxruntime_agrees_at_other_sizes(architecture: Architecture) -> None:
    assert worst_difference(architecture, (1, 1, 1), (5, 9, 7), (19, 16, 6)) < 1e-4


@settings(CHECKED, max_examples=10)
@given(architectures())
def test_onnxruntime_agrees_for_networks_that_see_everything(architecture: Architecture) -> None:
    # Not at sizes where a statistic is of one pixel: its variance is rounding noise in both.
    assert worst_difference(architecture, (33, 27, 18)) < 1e-4


@pytest.mark.parametrize("name", NETWORKS.names())
def test_named_networks_export(name: str) -> None:
    architecture = named(name, limits=SpaceLimits()).architecture
    assert worst_difference(architecture, (37, 50)) < 1e-4


def test_residual_networks_start_as_the_identity() -> None:
    architecture = Architecture(stages=(Stage(block="plain", width=8, depth=2),), residual=True)
    x = image(architecture, 7, 8)
    assert torch.equal(build(architecture)(x), x)


def test_unpooling_returns_to_the_maxima() -> None:
    from beamwright.search_spaces.layers import Unpool

    features = torch.randn(2, 3, 8, 6, 4)
    unpool = Unpool(3, 3, 3)
    torch.nn.init.dirac_(unpool.project.weight)  # type: ignore[arg-type]
    torch.nn.init.zeros_(unpool.project.bias)  # type: ignore[arg-type]
    pooled, indices = torch.nn.functional.max_pool3d(features, 2, return_indices=True)
    assert torch.allclose(unpool(pooled, features), torch.nn.functional.max_unpool3d(pooled, indices, 2))


def test_only_local_networks_have_a_halo() -> None:
    architecture = Architecture(stages=(Stage(block="plain", width=8, depth=1),), norm="instance")
    assert build(architecture).halo is None


def test_same_seed_same_weights() -> None:
    architecture = named("unet", limits=SpaceLimits()).architecture
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build(architecture).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])

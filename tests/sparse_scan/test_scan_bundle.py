from pathlib import Path

import numpy as np
import pytest
import torch

from beamwright.envs.sparse_scan import BundleReconstructor, SparseScanEnv
from beamwright.errors import BundleError, MicroscopeError

FEW = {"specimen": {"pool": 8}}


class Model:
    """Stands for an exported model: the image is the value, the error falls with the dose."""

    path = Path("model.zip")

    def __init__(self, *, inputs=2, outputs=2, divisor=4):
        axes = ["batch", "channel", "y", "x"]
        self.metadata = {
            "inputs": [{"axes": axes, "channels": inputs}],
            "outputs": [{"axes": axes, "channels": outputs}],
            "divisor": divisor,
        }

    def run(self, batch):
        image = batch[:, :1] + 0.1
        error = -np.log1p(batch[:, 1:])
        return np.concatenate([image, error], 1)[:, : self.metadata["outputs"][0]["channels"]]


@pytest.fixture
def load(monkeypatch):
    def use(model):
        monkeypatch.setattr("beamwright.runtime.load_bundle", lambda path, threads: model)
        return SparseScanEnv(preset="small", reconstructor={"kind": "bundle", "bundle": "model.zip"}, **FEW)

    return use


def test_a_bundle_reconstructs_and_predicts_its_error(load):
    torch.set_num_threads(1)
    env = load(Model())
    seen, _ = env.reset(seed=0)
    seen, *_ = env.step(0)
    measured, mask, dose, made, error = seen["maps"]
    assert made == pytest.approx(measured + 0.1, abs=1e-5)
    electrons = env.state.dose[0].numpy()
    assert error == pytest.approx(np.sqrt(1 / (1 + electrons)), abs=1e-5)
    assert seen["scores"].max() == 1
    assert (mask == (dose > 0)).all()


def test_without_predicted_error_there_are_no_scores(load):
    torch.set_num_threads(1)
    env = load(Model(outputs=1))
    seen, info = env.reset(seed=0)
    assert set(seen) == {"maps", "numbers", "action_mask"}
    assert seen["maps"].shape == (4, 32, 32)
    assert env.observation_space.contains(seen)
    assert np.isfinite(info["error"])
    assert env.simulation.draw(env.state, 0).shape == (560, 960, 3)


def test_models_of_other_tasks_are_refused():
    with pytest.raises(
        MicroscopeError, match=r'two channels .* "model.zip" takes 1 and gives 2; use a model of the'
    ):
        BundleReconstructor(Model(inputs=1), (32, 32))
    with pytest.raises(MicroscopeError, match="multiples of 5 px, not 32 x 32; choose such a shape"):
        BundleReconstructor(Model(divisor=5), (32, 32))


def test_a_missing_bundle_is_an_error():
    with pytest.raises(BundleError, match='There is no bundle "nowhere"'):
        SparseScanEnv(preset="small", reconstructor={"kind": "bundle", "bundle": "nowhere"}, **FEW)

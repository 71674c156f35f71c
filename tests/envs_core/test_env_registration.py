"""The ids: known to Gymnasium, and cheap until used."""

from __future__ import annotations

import subprocess
import sys

import gymnasium
import pytest

import beamwright.envs
from beamwright.envs import ENVIRONMENTS
from beamwright.envs.core import MicroscopeEnv, MicroscopeVectorEnv


@pytest.mark.parametrize("name", ENVIRONMENTS.names())
def test_an_id_leads_to_both_classes(name: str) -> None:
    spec = gymnasium.spec(name)
    single = gymnasium.envs.registration.load_env_creator(spec.entry_point)
    vector = gymnasium.envs.registration.load_env_creator(spec.vector_entry_point)
    assert issubclass(single, MicroscopeEnv)
    assert issubclass(vector, MicroscopeVectorEnv)
    assert (single.simulation, single.config) == (vector.simulation, vector.config)
    assert single.presets is vector.presets
    assert ENVIRONMENTS[name].load() is single
    assert ENVIRONMENTS[name].summary


def test_ids_have_the_name_of_the_house_and_a_version() -> None:
    assert all(name.startswith("beamwright/") and name.endswith("-v0") for name in ENVIRONMENTS.names())


def test_registering_again_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    beamwright.envs.register_environments()
    assert gymnasium.registry == before


def test_importing_the_environments_imports_no_torch() -> None:
    loaded = printed("import sys, beamwright.envs; print(*sys.modules)").split()
    assert "gymnasium" in loaded
    assert not {"torch", "ray", "matplotlib", "pygame"} & set(loaded)


def test_without_gymnasium_the_package_can_be_imported() -> None:
    count = printed(
        "import sys; sys.modules['gymnasium'] = None\n"
        "import beamwright.envs; print(len(beamwright.envs.ENVIRONMENTS.names()))"
    )
    assert int(count) == len(ENVIRONMENTS.names())


def test_an_id_can_bring_its_package() -> None:
    # Workers of other processes have imported nothing; the id may say what to import.
    made = printed(
        "import gymnasium\n"
        "env = gymnasium.make_vec('beamwright.envs:beamwright/TrackDrift-v0', 3)\n"
        "print(type(env).__name__)"
    )
    assert made.strip() == "TrackDriftVectorEnv"


def printed(code: str) -> str:
    """Return what a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.physics import interaction_constant
from beamwright.envs.microscope.specimens import SPECIMENS, keep_atoms, render_atoms, render_phase
from beamwright.envs.microscope.specimens.compose import compose, with_pedestal
from beamwright.envs.microscope.specimens.elements import phase_integrals, scattering_power
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)


def _atoms(count: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    streams = Streams.from_seed(4, 2)
    numbers = torch.tensor([79, 42, 16, 6, 14, 38])[:count].expand(2, -1)
    return streams.uniform(count, 2, low=0.5, high=1.1), numbers, torch.ones(2, count)


def _specimen() -> Specimen:
    field = torch.ones(2, 40, 40)
    return compose(100 * field, 0.2 * field, pixel_size=0.04, atoms=_atoms(), width=0.02)


@given(
    y=st.floats(0.3, 0.9),
    x=st.floats(0.3, 0.9),
    size=st.floats(0.01, 0.1),
    width=st.floats(0.005, 0.05),
    weight=st.floats(0.1, 10),
)
@settings(max_examples=40, deadline=None)
def test_no_weight_is_lost_at_any_sampling(
    y: float, x: float, size: float, width: float, weight: float
) -> None:
    pixels = int(1.3 / size) + 1
    drawn = render_atoms(
        torch.tensor([[[y, x]]]),
        torch.tensor([[weight]]),
        shape=(pixels, pixels),
        pixel_size=size,
        width=width,
    )
    assert float(drawn.sum()) * size**2 == pytest.approx(weight, rel=1e-3)


def test_an_atom_is_a_gaussian_centred_where_it_is() -> None:
    size, width = 0.005, 0.03
    drawn = render_atoms(
        torch.tensor([[[0.2, 0.13]]]), torch.ones(1, 1), shape=(80, 60), pixel_size=size, width=width
    )[0]
    y, x = (torch.arange(80) + 0.5) * size, (torch.arange(60) + 0.5) * size
    squared = (y[:, None] - 0.2) ** 2 + (x[None] - 0.13) ** 2
    expected = torch.exp(-squared / (2 * width**2)) / (2 * torch.pi * width**2)
    assert torch.allclose(drawn, expected, atol=0.005 * float(expected.max()))


def test_every_specimen_has_its_own_sampling_and_width() -> None:
    positions, _, weights = _atoms()
    sizes, widths = torch.tensor([0.02, 0.05]), torch.tensor([0.01, 0.03])
    both = render_atoms(positions, weights, shape=(20, 24), pixel_size=sizes, width=widths)
    for index in range(2):
        alone = render_atoms(
            positions[index : index + 1],
            weights[index : index + 1],
            shape=(20, 24),
            pixel_size=float(sizes[index]),
            width=float(widths[index]),
        )
        assert torch.allclose(both[index], alone[0], rtol=1e-4, atol=1e-3)


def test_the_phase_of_a_carbon_atom_is_that_of_its_scattering_factor() -> None:
    drawn = render_phase(
        torch.full((1, 1, 2), 0.6),
        torch.full((1, 1), 6),
        torch.ones(1, 1),
        shape=(60, 60),
        pixel_size=0.02,
    )
    volume = 0.47878 * 0.251  # [V nm^3], from the forward scattering length of carbon [nm]
    assert float(drawn.sum()) * 0.02**2 == pytest.approx(interaction_constant(200.0) * volume, rel=0.02)


def test_scattering_grows_with_the_atomic_number_and_padding_has_none() -> None:
    power = scattering_power(torch.tensor([0, 6, 79]))
    assert float(power[0]) == 0
    assert float(power[2] / power[1]) == pytest.approx((79 / 6) ** 1.7, rel=1e-5)
    assert phase_integrals(torch.tensor([0, 79])).sum(-1)[0] == 0


def test_an_element_without_a_table_is_refused() -> None:
    positions, numbers, weights = _atoms()
    field = torch.ones(2, 8, 8)
    with pytest.raises(MicroscopeError, match=r"know the scattering of the elements Z = 5, 6, .*not of 92"):
        compose(field, field, pixel_size=0.1, atoms=(positions, torch.full_like(numbers, 92), weights))


def test_what_is_left_after_damage_looks_as_if_the_other_atoms_had_never_been() -> None:
    specimen = _specimen()
    keep = torch.tensor([[0.0, 1, 1, 0, 1, 1], [1, 1, 0.5, 1, 1, 0]])
    left = keep_atoms(specimen, keep)
    positions, numbers, weights = _atoms()
    field = torch.ones(2, 40, 40)
    fresh = compose(
        100 * field, 0.2 * field, pixel_size=0.04, atoms=(positions, numbers, weights * keep), width=0.02
    )
    rescaled = fresh.signal * (specimen.scale / fresh.scale)[:, None, None]
    assert torch.allclose(left.signal, rescaled, atol=1e-5)
    assert torch.allclose(left.phase, fresh.phase, atol=1e-5)
    assert torch.equal(left.weights, weights * keep)


def test_damage_leaves_a_pedestal_where_it_is() -> None:
    specimen = with_pedestal(_specimen(), 0.5)
    bare = keep_atoms(specimen, torch.zeros(2, 6))
    film = 0.5 + 100 * specimen.scale
    assert torch.allclose(bare.signal, film[:, None, None].expand(-1, 40, 40), atol=1e-5)
    assert not bare.mask.any()


def test_damage_may_leave_the_phase_aside_and_specimens_without_atoms_alone() -> None:
    specimen = _specimen()
    left = keep_atoms(specimen, torch.zeros(2, 6, dtype=torch.bool), phase=False)
    assert left.phase is specimen.phase
    assert float(left.signal.max()) < float(specimen.signal.max())
    film = SPECIMENS.load("porous")(Streams.from_seed(0, 1), shape=(16, 16))
    assert keep_atoms(film, torch.zeros(1, 0)) is film


def test_the_phase_is_larger_at_lower_voltages() -> None:
    specimen = _specimen()
    ratio = specimen.at_voltage(80.0).phase / specimen.phase
    expected = interaction_constant(80.0) / interaction_constant(200.0)
    assert torch.allclose(ratio, torch.full_like(ratio, expected))
    assert expected > 1


def test_specimens_are_taken_and_moved_as_one() -> None:
    specimen = _specimen()
    twice = specimen.take(torch.tensor([1, 1, 0])).to("cpu")
    assert twice.count == 3
    assert torch.equal(twice.signal[0], specimen.signal[1])
    assert torch.equal(replace(twice, kind=twice.kind).positions[2], specimen.positions[0])

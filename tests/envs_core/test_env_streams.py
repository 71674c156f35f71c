"""Random numbers that belong to their environment, not to the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from beamwright.envs.core import Streams

SEEDS = st.integers(min_value=0, max_value=2**64 - 1)


def splitmix(word: int) -> int:
    """The scrambling of SplitMix64, in Python's whole numbers."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)


@settings(deadline=None)
@given(seed=SEEDS)
def test_numbers_are_those_of_splitmix(seed: int) -> None:
    key = splitmix(seed * 0x9E3779B97F4A7C15 % 2**64)
    words = [splitmix((key + step * 0x9E3779B97F4A7C15) % 2**64) for step in (1, 2, 3)]
    expected = [(word & 0xFFFFFF) * 2**-24 for word in words] + [(words[0] >> 32 & 0xFFFFFF) * 2**-24]
    streams = Streams.from_seed(seed, 1)
    first, upper = streams.uniform(2)[0]
    assert [first.item(), upper.item()] == [expected[0], expected[3]]
    assert [streams.uniform()[0].item(), streams.uniform()[0].item()] == expected[1:3]


def test_known_value_of_splitmix() -> None:
    # The first three outputs for the seed 0, as published with the reference implementation.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    streams = Streams(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    assert streams.integers(3, low=0, high=2**40)[0].tolist() == [word % 2**63 % 2**40 for word in published]


@settings(deadline=None)
@given(seed=SEEDS, count=st.integers(1, 5), shape=st.lists(st.integers(0, 7), max_size=3))
def test_a_stream_does_not_feel_its_neighbours(seed: int, count: int, shape: list[int]) -> None:
    together, alone = Streams.from_seed(seed, count), Streams.from_seed(seed + count - 1, 1)
    rate = torch.full((count, *shape), 5.0)
    for draws in (
        lambda s: s.uniform(*shape, low=-1, high=2),
        lambda s: s.normal(*shape),
        lambda s: s.integers(*shape, low=3, high=9),
        lambda s: s.poisson(rate[: s.count]),
    ):
        batch = draws(together)
        assert batch.shape == (count, *shape)
        torch.testing.assert_close(batch[-1:], draws(alone))


def test_streams_are_taken_and_put_back() -> None:
    streams = Streams.from_seed(3, 4)
    expected = Streams.from_seed(3, 4)
    expected.uniform()
    part = streams.take([1, 3])
    part.uniform()
    streams.put([1, 3], part)
    torch.testing.assert_close(streams.uniform(2)[[1, 3]], expected.uniform(2)[[1, 3]])
    assert streams.take(np.array([True, False, False, True])).count == 2
    assert streams.take(2).count == 1


def test_streams_go_back_to_a_state() -> None:
    streams = Streams.from_seed(0, 2)
    state = streams.state()
    first = streams.normal(5)
    streams.restore(state)
    assert torch.equal(streams.normal(5), first)
    streams.restore(state)
    assert torch.equal(streams.normal(5), first), "restoring must not use up the state"


def test_uniform_and_normal_numbers_are_distributed_so() -> None:
    streams = Streams.from_seed(1, 20)
    uniform = streams.uniform(2000, low=-3, high=5).flatten().numpy()
    assert uniform.min() >= -3
    assert uniform.max() < 5
    assert stats.kstest((uniform + 3) / 8, "uniform").pvalue > 1e-3
    assert stats.kstest(streams.normal(2000).flatten().numpy(), "norm").pvalue > 1e-3
    counts = np.bincount(streams.integers(2000, low=0, high=7).flatten().numpy(), minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_neighbouring_seeds_are_unrelated() -> None:
    numbers = Streams.from_seed(10, 2).normal(20_000)
    assert abs(np.corrcoef(numbers.numpy())[0, 1]) < 0.03


@pytest.mark.parametrize("rate", [0.02, 0.5, 2.0, 3.9, 4.0, 6.0, 15.0, 80.0, 1000.0])
def test_counts_have_poissons_distribution(rate: float) -> None:
    counts = Streams.from_seed(5, 50).poisson(torch.full((50, 4000), rate)).flatten().double().numpy()
    assert (counts == np.floor(counts)).all()
    assert (counts >= 0).all()
    error = np.sqrt(rate / counts.size)
    assert abs(counts.mean() - rate) < 4 * error
    assert counts.var() == pytest.approx(rate, rel=4 * np.sqrt((2 + 1 / rate) / counts.size))
    edges = np.arange(counts.max() + 2) - 0.5
    observed, expected = np.histogram(counts, edges)[0], counts.size * np.diff(stats.poisson.cdf(edges, rate))
    common = expected > 20
    # The expansion above 4 misses by one in up to 0.2 % of the numbers, which a test of 200,000 can see.
    excess = ((observed - expected)[common] ** 2 / expected[common]).sum() / common.sum()
    assert excess < 2.5


def test_nothing_comes_from_no_rate_and_rates_are_kept_apart() -> None:
    rate = torch.tensor([[0.0, 3.0, 50.0, 0.0]]).repeat(3, 1)
    counts = Streams.from_seed(0, 3).poisson(rate)
    assert (counts[:, [0, 3]] == 0).all()
    assert (counts[:, 2] > 20).all()


def test_large_images_are_worked_through_in_pieces() -> None:
    counts = Streams.from_seed(0, 2).poisson(torch.linspace(0, 20, 50_000).repeat(2, 1))
    means = counts.view(2, 10, -1).mean(dim=(0, 2))
    torch.testing.assert_close(means, torch.arange(1.0, 20, 2), atol=0.2, rtol=0)

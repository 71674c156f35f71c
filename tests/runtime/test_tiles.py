from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from beamwright.errors import BundleError
from beamwright.runtime import Tiling, predict_image

lengths = st.integers(1, 70)


def blur(radius: int):
    """A network of known reach: the mean over a window, with zeros around the image."""

    def network(batch: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(batch, (1, 1, *[2 * radius + 1] * (batch.ndim - 2)), mode="constant")

    return network


def pooling(divisor: int, radius: int):
    """Pad at the end, pool, blur what is pooled, upsample: it depends on the grid of the pooling."""

    def network(batch: np.ndarray) -> np.ndarray:
        height, width = batch.shape[2:]
        padded = np.pad(batch, [(0, 0), (0, 0), (0, -height % divisor), (0, -width % divisor)], mode="edge")
        rows, columns = (length // divisor for length in padded.shape[2:])
        pooled = padded.reshape(1, 1, rows, divisor, columns, divisor).max(axis=(3, 5))
        upsampled = blur(radius)(pooled).repeat(divisor, 2).repeat(divisor, 3)
        return upsampled[:, :, :height, :width] + batch

    return network


def image_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=(1, *shape)).astype(np.float32)


def run(network, image: np.ndarray, tiling: Tiling) -> np.ndarray:
    return predict_image(network, image, tiling=tiling, out=np.full_like(image, np.nan))


@given(st.tuples(lengths, lengths), st.integers(0, 6), st.integers(1, 40))
def test_tiles_of_a_local_network_equal_the_whole(shape, radius, extra):
    image, network = image_of(shape), blur(radius)
    tiling = Tiling.fit(shape, halo=radius, divisor=1, pixels=0, tile=2 * radius + extra)
    np.testing.assert_allclose(run(network, image, tiling), network(image[None])[0], atol=1e-6)


@given(st.tuples(lengths, lengths), st.sampled_from([2, 4, 8]), st.integers(0, 2), st.integers(1, 5))
def test_tiles_keep_to_the_grid_of_the_downsampling(shape, divisor, radius, extra):
    image, network = image_of(shape), pooling(divisor, radius)
    halo = (radius + 1) * divisor
    tiling = Tiling.fit(shape, halo=halo, divisor=divisor, pixels=0, tile=2 * halo + extra * divisor + 1)
    np.testing.assert_allclose(run(network, image, tiling), network(image[None])[0], atol=1e-6)


def test_a_halo_that_is_too_small_shows():
    image, network = image_of((64, 64)), blur(5)
    tiling = Tiling.fit((64, 64), halo=3, divisor=1, pixels=0, tile=20)
    assert np.abs(run(network, image, tiling) - network(image[None])[0]).max() > 1e-2


@settings(deadline=None)
@given(st.lists(lengths, min_size=1, max_size=3), st.integers(0, 5), st.integers(1, 4), st.integers(1, 30))
def test_every_pixel_is_written_once(shape, halo, divisor, extra):
    tile = 2 * -(-max(halo, divisor - 1) // divisor) * divisor + divisor + extra
    tiling = Tiling.fit(tuple(shape), halo=halo, divisor=divisor, pixels=0, tile=tile)
    count = np.zeros(shape, int)
    for piece in tiling.pieces(tuple(shape)):
        count[piece.write] += 1
        assert all(read.start % divisor == 0 for read in piece.read)
        assert all(read.stop - read.start <= tile for read in piece.read)
        sizes = [
            (keep.stop - keep.start, write.stop - write.start)
            for keep, write in zip(piece.keep, piece.write, strict=True)
        ]
        assert all(kept == written for kept, written in sizes)
    assert (count == 1).all()


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.floats(3e4, 1e7))
def test_tiles_stay_within_the_memory(shape, pixels):
    tiling = Tiling.fit(shape, halo=20, divisor=8, pixels=pixels)
    assert np.prod(tiling.tile) <= pixels
    assert (len(list(tiling.pieces(shape))) == 1) == (np.prod(shape) <= pixels)


def test_a_long_image_is_cut_along_its_length_only():
    assert Tiling.fit((100, 10_000), halo=4, divisor=1, pixels=1e5).tile == (100, 1000)


def test_the_last_tile_is_no_sliver():
    tiling = Tiling.fit((1040, 1040), halo=16, divisor=16, pixels=1024**2)
    assert {read.stop - read.start for piece in tiling.pieces((1040, 1040)) for read in piece.read} == {
        528,
        544,
    }


def test_any_dtype_and_memory_maps_are_read(tmp_path):
    stored = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", ">i2", (1, 50, 60))
    stored[:] = np.arange(3000).reshape(1, 50, 60)
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, (1, 50, 60))
    tiling = Tiling.fit((50, 60), halo=1, divisor=1, pixels=200)
    predict_image(lambda batch: batch + 1, stored, tiling=tiling, out=out)
    np.testing.assert_array_equal(out, stored.astype(np.float32) + 1)


def test_tiles_that_are_all_overlap_are_refused():
    message = (
        "Tiles of 20 x 20 pixels are too small for a network that sees 30 pixels far; use tiles of 72 pixels"
    )
    with pytest.raises(BundleError, match=message):
        Tiling.fit((500, 500), halo=30, divisor=8, pixels=0, tile=20)


def test_a_network_that_sees_everything_gets_no_tiles():
    assert len(list(Tiling.fit((50, 50), halo=None, divisor=1, pixels=2500).pieces((50, 50)))) == 1
    with pytest.raises(BundleError, match=r"must see the whole image, and 51 x 50 pixels need more memory"):
        Tiling.fit((51, 50), halo=None, divisor=1, pixels=2500)

"""Real files and real noise, where the data sets are beside the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beamwright.data import fingerprint, open_image, scan_images
from beamwright.errors import DataError


@pytest.mark.parametrize(
    ("name", "shape", "pixel_size", "voltage"),
    [
        ("formats/example_Se_implanted_MoS2.dm3", (1024, 1024), 0.0126953, None),
        ("formats/hrstem_example.ser", (1024, 1024), 0.0524072, None),
        ("formats/abf_single.hspy", (512, 512), None, None),
        ("mrcfile_micrographs/fei-extended_crop.mrc.gz", (2048, 2048), 0.0853776, None),
        ("mrcfile_micrographs/EMD-3001.map", (25, 43, 73), 0.044825, None),
        ("bam_tio2_sem_tsem/SEM_1908248.tif", (768, 1024), 7.344, 20.0),
        ("cryoet_microtubule/13pf_MT.tif", (36, 206, 94), 1.052, None),
        ("apoferritin_empiar10146/May08_03.05.02_avg.png", (1200, 1240), None, None),
    ],
)
def test_headers_of_real_files(
    shared_data: Path, name: str, shape: tuple[int, ...], pixel_size: float | None, voltage: float | None
) -> None:
    (file,) = open_image(shared_data / name)
    assert file.shape == shape
    assert file.pixel_size == (None if pixel_size is None else pytest.approx(pixel_size, rel=1e-4))
    assert file.voltage == voltage
    assert file.read().shape == shape
    assert np.isfinite(file.read(0)).all()


def test_scanning_diffraction_is_a_set_of_images(shared_data: Path) -> None:
    files = open_image(shared_data / "formats/test1.blo")
    assert [(file.shape, file.kind) for file in files] == [((2, 144, 144), "images")] * 3
    np.testing.assert_array_equal(files[1].read(1), files[1].read()[1])


def test_spectra_are_no_images(shared_data: Path) -> None:
    with pytest.raises(
        DataError, match=r"EELS_STO\.dm3: it holds no image: it holds spectra of shape \(2048,\)"
    ):
        open_image(shared_data / "formats/EELS_STO.dm3")
    with pytest.raises(DataError, match=r"EDS-STO\.emd: it holds no image\."):
        open_image(shared_data / "formats/EDS-STO.emd")


def test_the_two_acquisitions_of_the_replica(shared_data: Path) -> None:
    """Noise correlated along the fast axis by half, and one field of view in both acquisitions."""
    files = scan_images(shared_data / "nist_tomo_tilt_series/replica_multiframe.npz")
    assert [(file.kind, file.frames) for file in files] == [("movie", 2)] * 2
    found = fingerprint({"train": files[:1], "test": files[1:]}, regime="blind_spot")
    assert found.noise.correlation_x == pytest.approx(0.5, abs=0.05)
    assert found.noise.correlation_y == 0
    assert [kind for _, _, kind in found.duplicates] == ["same field"]
    assert len(found.warnings) == 2


def test_scan_noise_is_seen_in_single_frames_too(shared_data: Path) -> None:
    files = scan_images(shared_data / "nist_tomo_tilt_series/replica_multiframe.npz", stack="images")
    noise = fingerprint({"train": files}).noise
    assert noise.method == "residual"
    assert noise.correlation_x == pytest.approx(0.5, abs=0.1)
    assert noise.correlation_y == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    "pattern", ["emps/*[0-9a-f].png", "ampis_sem/spheroidite_train*", "bam_tio2_sem_tsem/*[0-9].tif"]
)
def test_unrelated_micrographs_are_not_taken_for_one_field(shared_data: Path, pattern: str) -> None:
    files = scan_images(f"{shared_data}/{pattern}")
    assert fingerprint({"data": files}).duplicates == ()

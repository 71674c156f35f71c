"""Every format that is read: pixels, pixel size, voltage, kind; and that writing keeps them."""

from __future__ import annotations

import bz2
import gzip
import pickle
import shutil
import sys
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from beamwright.data import ImageFile, open_image, scan_images, write_image
from beamwright.errors import DataError, MissingExtraError

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(100, 10, (40, 50)).astype(np.float32)
STACK = RNG.normal(100, 10, (3, 20, 30)).astype(np.float32)


def _only(path: Path) -> ImageFile:
    (file,) = open_image(path)
    return file


def _write_mrc(path: Path, array: np.ndarray, *, volume: bool = False) -> Path:
    with mrcfile.new(path, array) as mrc:
        if array.ndim == 3 and not volume:
            mrc.set_image_stack()
        mrc.voxel_size = 2.5
    return path


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "uint16", "float16"])
def test_mrc_modes_are_mapped_into_memory(tmp_path: Path, dtype: str) -> None:
    array = IMAGE.astype(dtype)
    file = _only(_write_mrc(tmp_path / "a.mrc", array))
    assert (file.shape, file.dtype, file.kind) == (array.shape, np.dtype(dtype), "image")
    assert file.pixel_size == pytest.approx(0.25)
    assert isinstance(file.read().base, (np.memmap, np.ndarray))
    assert not file.read().flags.writeable
    np.testing.assert_array_equal(file.read(), array)


@pytest.mark.parametrize("packer", [gzip, bz2])
def test_packed_mrc_is_unpacked_by_frames(tmp_path: Path, packer: object) -> None:
    ending = {gzip: "gz", bz2: "bz2"}[packer]  # type: ignore[index]
    plain = _write_mrc(tmp_path / "plain.mrc", STACK)
    packed = tmp_path / f"a.mrc.{ending}"
    with plain.open("rb") as source, packer.open(packed, "wb") as target:  # type: ignore[attr-defined]
        shutil.copyfileobj(source, target)
    file = _only(packed)
    assert file.stem == "a"
    np.testing.assert_array_equal(file.read(2), STACK[2])
    np.testing.assert_array_equal(np.stack(list(file.stream())), STACK)
    np.testing.assert_array_equal(file.read(), STACK)


def test_mrc_tells_stacks_from_volumes(tmp_path: Path) -> None:
    assert _only(_write_mrc(tmp_path / "stack.mrcs", STACK)).kind == "unknown"
    assert _only(_write_mrc(tmp_path / "volume.map", STACK, volume=True)).kind == "volume"
    many = RNG.normal(size=(2, 3, 20, 20)).astype(np.float32)
    volumes = open_image(_write_mrc(tmp_path / "volumes.mrc", many, volume=True))
    assert [volume.shape for volume in volumes] == [(3, 20, 20)] * 2
    np.testing.assert_array_equal(volumes[1].read(2), many[1, 2])


def test_big_endian_mrc_comes_in_the_byte_order_of_the_machine(tmp_path: Path) -> None:
    path = _write_mrc(tmp_path / "a.mrc", IMAGE)
    data = path.read_bytes()
    header = np.frombuffer(data[:1024], mrcfile.dtypes.HEADER_DTYPE)
    swapped = header.astype(mrcfile.dtypes.HEADER_DTYPE.newbyteorder(">")).tobytes()
    path.write_bytes(swapped + IMAGE.astype(">f4").tobytes())
    np.testing.assert_array_equal(_only(path).read(), IMAGE)
    assert _only(path).read().dtype.isnative


def test_extended_header_of_fei_gives_voltage_and_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "a.mrc"
    extended = np.zeros(1, mrcfile.dtypes.get_ext_header_dtype(b"FEI1", "<"))
    extended["Metadata size"], extended["HT"], extended["Pixel size X"] = 768, 300_000, 0.85e-10
    with mrcfile.new(path, IMAGE) as mrc:
        mrc.set_extended_header(extended)
        mrc.header.exttyp = b"FEI1"
        mrc.header.cella.x = 0
    file = _only(path)
    assert (file.voltage, file.pixel_size) == (pytest.approx(300), pytest.approx(0.085))
    np.testing.assert_array_equal(file.read(), IMAGE)


def test_tiff_is_mapped_when_plain_and_decoded_by_pages_when_packed(tmp_path: Path) -> None:
    for name, packing in (("plain.tif", None), ("packed.tiff", "zlib")):
        tifffile.imwrite(tmp_path / name, STACK, compression=packing, photometric="minisblack")
        file = _only(tmp_path / name)
        assert file.shape == STACK.shape
        np.testing.assert_array_equal(file.read(1), STACK[1])
        np.testing.assert_array_equal(file.read(), STACK)


def test_tiff_knows_the_pixel_size_by_the_tags_of_imagej_resolution_ome_and_fei(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, imagej=True, resolution=(4000, 4000), metadata={"unit": "um"})
    assert _only(path).pixel_size == pytest.approx(0.25)
    tifffile.imwrite(path, IMAGE, resolution=(1e7, 1e7), resolutionunit="CENTIMETER")
    assert _only(path).pixel_size == pytest.approx(1)
    tifffile.imwrite(path, IMAGE, resolution=(300, 300), resolutionunit="INCH")
    assert _only(path).pixel_size is None, "a print resolution is not a pixel size"
    tifffile.imwrite(path, IMAGE, ome=True, metadata={"PhysicalSizeX": 0.3, "PhysicalSizeXUnit": "nm"})
    assert _only(path).pixel_size == pytest.approx(0.3)
    fei = "[Beam]\nHV=20000\n[Scan]\nPixelWidth=2e-9\n"
    tifffile.imwrite(path, IMAGE, extratags=[(34682, "s", 0, fei, True)])
    assert (_only(path).pixel_size, _only(path).voltage) == (pytest.approx(2), pytest.approx(20))


def test_tiff_series_of_different_shapes_are_images_of_their_own(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(IMAGE)
        tif.write(STACK[0])
    first, second = open_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(first.read(), IMAGE)
    np.testing.assert_array_equal(second.read(), STACK[0])


def test_imagej_says_what_a_stack_is(tmp_path: Path) -> None:
    for axes, kind in (("TYX", "movie"), ("ZYX", "volume")):
        tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": axes})
        assert _only(tmp_path / "a.tif").kind == kind


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_of_8_and_16_bits(tmp_path: Path, dtype: type) -> None:
    array = (IMAGE * (1 if dtype is np.uint8 else 200)).astype(dtype)
    Image.fromarray(array).save(tmp_path / "a.png")
    assert _only(tmp_path / "a.png").dtype == dtype
    np.testing.assert_array_equal(_only(tmp_path / "a.png").read(), array)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_grey_images_saved_in_colour_are_read(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(IMAGE.astype(np.uint8)).convert(mode)
    grey.save(tmp_path / "a.png")
    np.testing.assert_array_equal(_only(tmp_path / "a.png").read(), np.asarray(grey.convert("L")))
    if mode == "RGB":
        tifffile.imwrite(tmp_path / "a.tif", np.asarray(grey), photometric="rgb")
        np.testing.assert_array_equal(_only(tmp_path / "a.tif").read(), np.asarray(grey)[..., 0])


def test_colours_are_refused(tmp_path: Path) -> None:
    colour = RNG.integers(0, 255, (20, 20, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="it has colours and a micrograph has one channel; save the channel"):
        scan_images(tmp_path)


def test_npy_is_mapped_and_npz_holds_several(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    assert not _only(tmp_path / "a.npy").read().flags.writeable
    np.testing.assert_array_equal(_only(tmp_path / "a.npy").read(1), STACK[1])
    np.savez_compressed(
        tmp_path / "b.npz",
        one=IMAGE,
        two=np.asfortranarray(STACK),
        angles=np.arange(3.0),
        flag=np.eye(20) > 0,
    )
    files = {file.key: file for file in open_image(tmp_path / "b.npz")}
    assert set(files) == {"one", "two", "flag"}, "what cannot be an image is left aside"
    np.testing.assert_array_equal(files["one"].read(), IMAGE)
    np.testing.assert_array_equal(files["two"].read(2), STACK[2])
    np.testing.assert_array_equal(files["flag"].read(), np.eye(20, dtype=np.uint8))
    assert files["two"].name.endswith("b.npz:two")


def test_four_dimensions_are_several_movies(tmp_path: Path) -> None:
    movies = RNG.normal(size=(2, 3, 16, 18))
    np.savez(tmp_path / "a.npz", frames=movies)
    files = open_image(tmp_path / "a.npz")
    assert [file.stem for file in files] == ["a:frames[0]", "a:frames[1]"]
    np.testing.assert_array_equal(files[1].read(2), movies[1, 2])
    np.testing.assert_array_equal(files[1].read(), movies[1])


@pytest.mark.parametrize("shape", [(1, 20, 30), (1, 1, 20, 30)])
def test_axes_of_length_one_in_front_do_not_count(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", IMAGE[:20, :30].reshape(shape))
    file = _only(tmp_path / "a.npy")
    assert (file.shape, file.kind, file.stem) == ((20, 30), "image", "a")
    np.testing.assert_array_equal(file.read(), IMAGE[:20, :30])
    np.testing.assert_array_equal(file.read(0), IMAGE[:20, :30])


def test_movies_of_one_frame_are_images(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK[:, None])
    files = open_image(tmp_path / "a.npy")
    assert [file.shape for file in files] == [(20, 30)] * 3
    np.testing.assert_array_equal(files[2].read(), STACK[2])


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays_groups_and_ome(tmp_path: Path, version: int) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=STACK, chunks=(1, 16, 16), zarr_format=version)
    np.testing.assert_array_equal(_only(tmp_path / "a.zarr").read(1), array[1])
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=version)
    group.create_array("images", data=IMAGE)
    group.create_array("angles", data=np.arange(3.0))
    (file,) = open_image(tmp_path / "b.zarr")
    assert file.key == "images"
    np.testing.assert_array_equal(file.read(), IMAGE)
    ome = zarr.open_group(tmp_path / "c.zarr", mode="w", zarr_format=version)
    ome.create_array("0", data=IMAGE)
    ome.create_array("1", data=IMAGE[::2, ::2])
    scale = [{"type": "scale", "scale": [0.002, 0.002]}]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    multiscales = [
        {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}, {"path": "1"}]}
    ]
    ome.attrs.update({"ome": {"multiscales": multiscales}} if version == 3 else {"multiscales": multiscales})
    assert (_only(tmp_path / "c.zarr").shape, _only(tmp_path / "c.zarr").pixel_size) == (
        (40, 50),
        pytest.approx(2),
    )


def test_emd_of_ncem_is_read_by_rosettasciio(tmp_path: Path) -> None:
    path = tmp_path / "a.emd"
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/image")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=IMAGE)
        for number, (name, length) in enumerate(zip("yx", IMAGE.shape, strict=True), 1):
            axis = group.create_dataset(f"dim{number}", data=np.arange(length) * 0.2)
            axis.attrs["name"], axis.attrs["units"] = name, "[n_m]"
    file_handle = _only(path)
    np.testing.assert_array_equal(np.sort(file_handle.read().ravel()), np.sort(IMAGE.ravel()))


def test_without_rosettasciio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.dm3").write_bytes(b"0" * 100)
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)
    with pytest.raises(MissingExtraError, match=r'a\.dm3 needs the extra "formats": pip install'):
        scan_images(tmp_path)


def test_handles_are_small_and_survive_pickling(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    file = _only(tmp_path / "a.npy")
    shipped = pickle.dumps(file)
    assert len(shipped) < 1000
    assert pickle.loads(shipped) == file
    np.testing.assert_array_equal(pickle.loads(shipped).read(0), STACK[0])


def test_identity_is_that_of_the_content(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, STACK)
    np.save(tmp_path / "c.npy", STACK + 1)
    one, two, other = (_only(tmp_path / name).identity() for name in ("a.npy", "b.npy", "c.npy"))
    assert one == two != other
    assert len(one) == 64
    zarr.create_array(tmp_path / "d.zarr", data=IMAGE)
    zarr.create_array(tmp_path / "e.zarr", data=IMAGE)
    assert _only(tmp_path / "d.zarr").identity() == _only(tmp_path / "e.zarr").identity()


def test_a_frame_that_is_not_there(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    with pytest.raises(IndexError, match="has 3 frames; there is no frame 3"):
        _only(tmp_path / "a.npy").read(3)


def test_a_file_that_changed_is_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    file = _only(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", STACK[:, :18])
    with pytest.raises(
        DataError, match=r"a\.npy: it held an array of shape \(3, 20, 30\) .* leave files alone"
    ):
        file.read()


_DTYPES = st.sampled_from(["uint8", "uint16", "int16", "float32"])


@settings(max_examples=25, deadline=None)
@given(
    array=_DTYPES.flatmap(
        lambda dtype: arrays(
            dtype, st.sampled_from([(16, 20), (2, 17, 16)]), elements=st.integers(0, 127), fill=st.just(1)
        )
    ),
    pixel_size=st.floats(0.005, 5000),
    ending=st.sampled_from([".mrc", ".mrc.gz", ".mrc.bz2", ".tif", ".npy"]),
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, pixel_size: float, ending: str
) -> None:
    path = tmp_path_factory.mktemp("written") / f"a{ending}"
    write_image(path, array, pixel_size=pixel_size, voltage=200.0)
    file = _only(path)
    np.testing.assert_array_equal(file.read(), array)
    if ending != ".npy":
        assert file.pixel_size == pytest.approx(pixel_size, rel=1e-5)
        assert file.voltage == pytest.approx(200)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "nothing temporary stays behind"


def test_types_that_a_format_has_not_are_written_as_float32(tmp_path: Path) -> None:
    write_image(tmp_path / "a.mrc", IMAGE.astype(np.float64))
    assert _only(tmp_path / "a.mrc").dtype == np.float32
    write_image(tmp_path / "a.tif", IMAGE.astype(np.int32), pixel_size=0.7)
    assert _only(tmp_path / "a.tif").dtype == np.int32
    assert _only(tmp_path / "a.tif").pixel_size == pytest.approx(0.7)


def test_writing_refuses_what_the_format_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'images are written as .*\.mrc.*, not as "\.dm4"'):
        write_image(tmp_path / "a.dm4", IMAGE)
    with pytest.raises(DataError, match=r"a stack \(N, H, W\); this has the shape \(5,\)"):
        write_image(tmp_path / "a.mrc", np.zeros(5))
    with pytest.raises(DataError, match="PNG holds an image of uint8 or uint16, not float32"):
        write_image(tmp_path / "a.png", IMAGE)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.npy", IMAGE)
    before = (tmp_path / "a.npy").read_bytes()

    def fail(path: Path, *args: object, **kwargs: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(tmp_path / "a.npy", IMAGE * 2)
    assert (tmp_path / "a.npy").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1

"""Finding files, and naming all that cannot be read at once, whatever is wrong with them."""

from __future__ import annotations

import gzip
import io
import re
import resource
import zipfile
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from beamwright.data import expand_paths, open_image, scan_images, write_image
from beamwright.errors import DataError

IMAGE = np.arange(20 * 30, dtype=np.float32).reshape(20, 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mrc", "a.tif", "deep/c.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, IMAGE)
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / ".hidden.mrc").write_text("junk")
    zarr.create_array(tmp_path / "z.zarr", data=IMAGE, chunks=(10, 10))
    return tmp_path


def test_folders_are_searched_and_other_files_left_aside(folder: Path) -> None:
    names = [path.relative_to(folder).as_posix() for path in expand_paths(folder)]
    assert names == ["a.tif", "b.mrc", "deep/c.npy", "z.zarr"]
    assert len(scan_images(str(folder))) == 4


def test_files_patterns_and_folders_mix_without_repetition(folder: Path) -> None:
    paths = expand_paths([folder / "b.mrc", f"{folder}/*.mrc", f"{folder}/**/*.npy", folder / "deep"])
    assert [path.name for path in paths] == ["b.mrc", "c.npy"]


def test_everything_that_is_not_there_is_named_at_once(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        expand_paths([folder / "no.mrc", f"{folder}/*.dm4", folder / "empty"])
    message = str(caught.value)
    assert "no.mrc: there is no such file or folder; " in message
    assert "*.dm4: the pattern matches no image; " in message
    assert "empty: the folder holds no image; known suffixes are .ali" in message


def test_no_paths() -> None:
    with pytest.raises(DataError, match="No images are named; give a folder, files or a pattern"):
        expand_paths([])


def test_a_named_file_of_unknown_suffix_is_an_error(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r'README\.md: there is no reader for the suffix "\.md".* Known: \.ali'
    ):
        scan_images(folder / "README.md")
    with pytest.raises(DataError, match=r"there is no such file"):
        open_image(folder / "no.mrc")


def test_stacks_are_movies_or_images(tmp_path: Path) -> None:
    write_image(tmp_path / "a.mrc", np.stack([IMAGE, IMAGE + 1]))
    (movie,) = scan_images(tmp_path)
    assert (movie.kind, movie.frames) == ("movie", 2)
    parts = scan_images(tmp_path, stack="images")
    assert [(part.kind, part.shape, part.stem) for part in parts] == [
        ("image", (20, 30), "a[0]"),
        ("image", (20, 30), "a[1]"),
    ]
    np.testing.assert_array_equal(parts[1].read(), IMAGE + 1)


def test_a_volume_is_a_movie_only_if_told_so(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "a.mrc", np.stack([IMAGE, IMAGE])) as mrc:
        mrc.set_volume()
    assert scan_images(tmp_path)[0].kind == "volume"
    assert scan_images(tmp_path, stack="movie")[0].kind == "movie"


def _mrc(array: np.ndarray = IMAGE, **header: object) -> bytes:
    stream = io.BytesIO()
    interpreter = mrcfile.mrcinterpreter.MrcInterpreter()
    interpreter._iostream = stream
    interpreter._create_default_attributes()
    interpreter.set_data(np.nan_to_num(array))
    for name, value in header.items():
        interpreter.header[name] = value
    return bytes(interpreter.header.tobytes()) + array.tobytes()


def _npz(array: np.ndarray, *, cut: int = 0) -> bytes:
    stream, member = io.BytesIO(), io.BytesIO()
    np.save(member, array)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", member.getvalue()[: len(member.getvalue()) - cut])
    return stream.getvalue()


def _npy(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def _png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "png")
    return stream.getvalue()


def _tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def _npy_header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


NOISE = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
NAN = np.where(IMAGE == 7, np.nan, IMAGE).astype(np.float32)
HUGE = 2_000_000_000

DAMAGED = {
    "empty.mrc": (b"", "promises 1,024 bytes and the file ends after 0"),
    "header.mrc": (_mrc()[:500], "promises 1,024 bytes and the file ends after 500"),
    "cut.mrc": (_mrc()[:-100], "its header promises 2,400 bytes of pixels and the file holds 2,300"),
    "lies.mrc": (_mrc(nx=HUGE, ny=HUGE), "its header promises 16,000,000,000,000,000,000 bytes"),
    "extended.mrc": (_mrc(nsymbt=HUGE), "the file holds 0"),
    "negative.mrc": (_mrc(nx=-3), "its header is not one of MRC: nx, ny, nz ="),
    "mode.mrc": (_mrc(mode=101), "its pixels are of MRC mode 101; modes 0, 1, 2, 6 and 12 are read"),
    "sections.mrc": (_mrc(ispg=401, mz=0), "volumes of 0 sections in a file of 1"),
    "complex.mrc": (
        _mrc(IMAGE.astype(np.complex64)),
        "its pixels are complex; save the modulus or the phase",
    ),
    "nan.mrc": (_mrc(NAN), "1 pixels are NaN or infinite; replace them"),
    "cut.mrc.gz": (gzip.compress(_mrc()[:-100]), "promises 2,400 bytes and the file ends after 2,300"),
    "torn.mrc.gz": (gzip.compress(_mrc())[:-30], "it ends early: the file is truncated; copy it again"),
    "lies.mrc.gz": (gzip.compress(_mrc(nx=HUGE, ny=HUGE)), "and the file ends after 2,400"),
    "junk.mrc.bz2": (b"junk" * 100, "it cannot be decoded (OSError"),
    "cut.npy": (_npy(IMAGE)[:-1], "its header promises 2,400 bytes of pixels and the file holds 2,399"),
    "lies.npy": (_npy_header((HUGE, HUGE)), "bytes of pixels and the file holds 0"),
    "inf.npy": (_npy(np.full((3, 20, 20), np.inf)), "400 pixels of frame 0 are NaN or infinite"),
    "objects.npy": (_npy(np.array([{}] * 20), allow_pickle=True), "Python objects, which are never loaded"),
    "line.npy": (_npy(np.zeros(100)), "it holds a list or a spectrum of shape (100,); an image is (H, W)"),
    "number.npy": (_npy(np.zeros(())), "it holds a single number of shape ()"),
    "five.npy": (_npy(np.zeros((2, 2, 2, 20, 20))), "it holds an array of 5 axes"),
    "none.npy": (_npy(np.zeros((0, 20))), "it is empty: its shape is (0, 20)"),
    "small.npy": (_npy(np.zeros((15, 200))), "it is 15 x 200 pixels and the smallest image is 16 x 16"),
    "text.npy": (_npy(np.full((20, 20), "a")), "its values are of type <U1, not numbers"),
    "cut.npz": (_npz(IMAGE, cut=10), "none of its members is an image: a: its header promises 2,400"),
    "junk.npz": (b"PK junk", "it cannot be decoded (BadZipFile"),
    "nothing.npz": (_npz(np.zeros(3)), "none of its members is an image: a: it holds a list or a spectrum"),
    "cut.png": (_png(NOISE)[:-2000], "it cannot be decoded (OSError"),
    "junk.png": (b"junk", "it cannot be decoded (UnidentifiedImageError"),
    "cut.tif": (_tiff(NOISE)[:-1000], "it is truncated or damaged; copy it again"),
    "packed.tif": (_tiff(NOISE, compression="zlib")[:-500], "it is truncated or damaged; copy it again"),
    "junk.tif": (b"junk", "it cannot be decoded (TiffFileError"),
    "junk.dm3": (b"junk" * 100, "it cannot be decoded"),
    "empty.ser": (b"", "it cannot be decoded"),
    "junk.hspy": (b"junk" * 100, "it cannot be decoded"),
}


def test_all_that_cannot_be_read_is_listed_at_once(tmp_path: Path) -> None:
    for name, (content, _) in DAMAGED.items():
        (tmp_path / name).write_bytes(content)
    write_image(tmp_path / "good.mrc", IMAGE)
    with pytest.raises(DataError) as caught:
        scan_images([tmp_path / name for name in list(DAMAGED)[:20]])
    first, *lines = str(caught.value).splitlines()
    assert first == "20 files cannot be read; mend or remove them:"
    assert [Path(line.split(": ")[0].strip()).name for line in lines] == list(DAMAGED)[:20]
    with pytest.raises(
        DataError, match=rf"{len(DAMAGED)} files cannot be read(.|\n)* and {len(DAMAGED) - 30} more"
    ):
        scan_images(tmp_path)


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_without_a_large_allocation(tmp_path: Path, name: str) -> None:
    content, reason = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught:
        scan_images(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert reason in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000, "kilobytes"


def test_a_zarr_store_that_lost_its_chunks_is_damaged(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(HUGE, HUGE), chunks=(64, 64), dtype="f4")
    with pytest.raises(
        DataError, match=r"a\.zarr: its metadata promise 976,562,500,000,000 chunks and the store holds 0"
    ):
        scan_images(tmp_path)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.npy", IMAGE)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.npy: it may not be read; change its permissions"):
        open_image(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("wrong", "right"), [(".tf", ".tif"), (".mcr", ".mrc"), (".py", None), (".mat", None), (".jpg", None)]
)
def test_a_suffix_is_proposed_where_it_is_mistyped(tmp_path: Path, wrong: str, right: str | None) -> None:
    (tmp_path / f"a{wrong}").touch()
    proposal = f' Did you mean "{right}"?' if right else ""
    with pytest.raises(DataError, match=re.escape(f'for the suffix "{wrong}".{proposal} Known: .ali')):
        open_image(tmp_path / f"a{wrong}")

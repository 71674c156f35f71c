"""Reads the members of a bundle, from a folder or a zip, without trusting either.

Only members of fixed names are read, into memory and up to a limit; nothing is ever unpacked.
"""

from __future__ import annotations

import stat
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

from beamwright.errors import BundleError

__all__ = ["MAX_MEMBERS", "read_member"]

MAX_MEMBERS = 256


def read_member(path: Path, name: str, *, limit: int) -> bytes:
    """Return the bytes of one member.

    Parameters
    ----------
    path
        The bundle: a folder or a ``.zip``.
    name
        The member's name at the top of the bundle.
    limit
        The largest size that is read [byte].

    Raises
    ------
    BundleError
        If the bundle is none, the member is missing or larger than `limit`, or anything in the bundle
        points outside it.
    """
    if path.is_dir():
        return _read_from_folder(path, name, limit=limit)
    if not path.is_file():
        raise BundleError(f'There is no bundle "{path}"; give the folder or the .zip that an export wrote.')
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_from_zip(archive, name, limit=limit, path=path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise BundleError(
            f'"{path}" is not an intact .zip ({error}); copy or export the bundle again.'
        ) from None


def _read_from_folder(path: Path, name: str, *, limit: int) -> bytes:
    member = path / name
    if member.is_symlink():
        raise BundleError(
            f'"{member}" is a link, and a bundle holds files only; copy the file itself into it.'
        )
    if not member.is_file():
        raise _missing(path, name)
    _check_size(path, name, size=member.stat().st_size, limit=limit)
    return member.read_bytes()


def _read_from_zip(archive: zipfile.ZipFile, name: str, *, limit: int, path: Path) -> bytes:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise BundleError(f'"{path}" has {len(members)} members; a bundle has at most {MAX_MEMBERS}.')
    for member in members:
        _check_member(member, path)
    twice = [key for key, count in Counter(member.filename for member in members).items() if count > 1]
    if twice:
        raise BundleError(f'"{path}" holds "{twice[0]}" twice; zip the folder of the bundle again.')
    if name not in archive.namelist():
        raise _missing(path, name)
    # The size that the directory promises is also where zipfile stops reading: a bomb cannot exceed it.
    _check_size(path, name, size=archive.getinfo(name).file_size, limit=limit)
    return archive.read(name)


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    # `filename` has backslashes of Windows already replaced; `orig_filename` is what the archive says.
    name = member.orig_filename
    parts = PurePosixPath(name)
    if "\\" in name or "\0" in name or ":" in name or parts.is_absolute() or ".." in parts.parts:
        raise BundleError(f'"{path}" has a member "{name}" that points outside the bundle; do not use it.')
    if stat.S_ISLNK(member.external_attr >> 16):
        raise BundleError(f'"{path}" has a link "{name}", and a bundle holds files only; do not use it.')
    if member.flag_bits & 1:
        raise BundleError(f'"{path}" is encrypted ("{name}"); unpack it and give the folder.')


def _check_size(path: Path, name: str, *, size: int, limit: int) -> None:
    if size > limit:
        raise BundleError(f'"{name}" in "{path}" has {size} bytes; at most {limit} are read.')


def _missing(path: Path, name: str) -> BundleError:
    return BundleError(
        f'"{path}" is no bundle: it has no "{name}" at its top. Give what "beamwright export" wrote '
        "(in a .zip the files themselves, not a folder that holds them)."
    )

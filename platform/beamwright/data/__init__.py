"""Reading and writing micrographs, giving them roles, and knowing them before training."""

from beamwright.data.describing import describe
from beamwright.data.fingerprints import Fingerprint, Noise
from beamwright.data.image import ImageFile
from beamwright.data.inspecting import fingerprint
from beamwright.data.memory import MemoryImage
from beamwright.data.movies import even_odd
from beamwright.data.noise import add_noise, expected_electrons
from beamwright.data.scanning import expand_paths, open_image, scan_images
from beamwright.data.splits import Pair, Split, resolve_regime, split_files
from beamwright.data.writing import write_image

__all__ = [
    "Fingerprint",
    "ImageFile",
    "MemoryImage",
    "Noise",
    "Pair",
    "Split",
    "add_noise",
    "describe",
    "even_odd",
    "expand_paths",
    "expected_electrons",
    "fingerprint",
    "open_image",
    "resolve_regime",
    "scan_images",
    "split_files",
    "write_image",
]

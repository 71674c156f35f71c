"""A stand-in for torchvision, which CAREamics and topaz import for functions that are not used here.

Its wheels are bound to one build of torch; installing it would decide for the user which one.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType

__all__ = ["install"]

_NAMES = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


def install() -> None:
    """Let ``import torchvision`` succeed; whoever calls something of it fails."""
    # Those that ask whether torchvision is there must get their answer, no, before the stand-in is.
    for asking in ("torchmetrics", "bioimageio.core"):
        with contextlib.suppress(ImportError):
            importlib.import_module(asking)
    modules = {name: ModuleType(name) for name in _NAMES}
    sys.modules.update(modules)
    modules["torchvision"].__version__ = "0"  # type: ignore[attr-defined]
    modules["torchvision"].transforms = modules["torchvision.transforms"]  # type: ignore[attr-defined]
    functional = modules["torchvision.transforms.functional"]
    modules["torchvision.transforms"].functional = functional  # type: ignore[attr-defined]
    for name in ("rotate", "hflip", "vflip", "center_crop", "pad"):
        setattr(functional, name, _refuse)


def _refuse(*_: object, **__: object) -> None:
    raise RuntimeError("torchvision is not installed; this comparison was not meant to need it.")

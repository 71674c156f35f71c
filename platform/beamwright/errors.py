"""The exceptions and warnings of beamwright: one small tree each.

A message states the rule, shows the value and names the cure. The command line prints it as it is,
without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BeamwrightError",
    "BeamwrightWarning",
    "BundleError",
    "DataError",
    "DataWarning",
    "ExperimentError",
    "MicroscopeError",
    "MissingExtraError",
    "PhysicsWarning",
    "RunError",
    "SpaceError",
    "UnknownNameError",
    "did_you_mean",
]


class BeamwrightError(Exception):
    """Something that the user can put right; its message says how."""


class ExperimentError(BeamwrightError):
    """An experiment file, or a ``--set`` on the command line, breaks a rule."""


class DataError(BeamwrightError):
    """Files cannot be read, or do not fit what they are to be used for."""


class SpaceError(BeamwrightError):
    """An architecture, a recipe or a space contradicts itself."""


class MicroscopeError(BeamwrightError):
    """No microscope could do this: impossible optics, a path off the field, a budget of zero."""


class RunError(BeamwrightError):
    """A run folder is missing, damaged, in use, or holds no finished trial."""


class BundleError(BeamwrightError):
    """A bundle is damaged, unsafe, or does not fit the images it is given."""


class UnknownNameError(BeamwrightError):
    """A name that no registry knows."""


class MissingExtraError(BeamwrightError):
    """A feature needs packages that are not installed.

    Parameters
    ----------
    what
        The feature, as the user would call it.
    extra
        The extra of beamwright that brings the packages.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs the extra "{extra}": pip install "beamwright[{extra}]"')
        self.what, self.extra = what, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.what, self.extra)


class BeamwrightWarning(UserWarning):
    """The family of everything that beamwright warns about."""


class DataWarning(BeamwrightWarning):
    """The data can be read, but will probably not give what the user hopes for."""


class PhysicsWarning(BeamwrightWarning):
    """A physical model is used outside its validity."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for a mistyped or abbreviated name, or an empty string.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that exist.
    """
    known = list(known)
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    match = match or [full for full in known if _abbreviates(name, full)]
    return f' Did you mean "{match[0]}"?' if len(match) == 1 else ""


def _abbreviates(short: str, full: str) -> bool:
    """Tell whether all letters are in the name in their order, the first as the first: n2n, noise2noise."""
    letters = iter(full)
    return len(short) > 1 and short[0] == full[:1] and all(letter in letters for letter in short)

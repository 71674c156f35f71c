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
    """Return `` Did you mean "x"?`` for a mistyped name, or an empty string.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that exist.
    """
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{match[0]}"?' if match else ""

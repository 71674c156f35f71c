"""One registry for everything that has a name: tasks, spaces, networks, samplers, schedulers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from beamwright.errors import UnknownNameError, did_you_mean

__all__ = ["Entry", "Registry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A name, what it is for, and where it lives.

    Parameters
    ----------
    name
        What the user writes in the experiment file.
    summary
        One line for ``beamwright list``.
    target
        ``"package.module:attribute"``, imported when it is first asked for.
    source
        The publication that it comes from, or an empty string.
    """

    name: str
    summary: str
    target: str
    source: str = ""

    def load(self) -> Any:
        """Import the module and return the attribute."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry:
    """Frozen records under unique names; nothing is imported before it is used.

    Packages of users add to a registry by the entry point group ``beamwright.<kind>s``, each entry
    point loading an `Entry`.

    Parameters
    ----------
    kind
        What one of them is called in messages: ``"task"``, ``"sampler"``.
    *entries
        The records that beamwright brings.
    """

    def __init__(self, kind: str, *entries: Entry) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        self._discovered = False
        for entry in entries:
            self.register(entry)

    def register(self, entry: Entry) -> None:
        """Add a record.

        Raises
        ------
        ValueError
            If the name is taken.
        """
        if entry.name in self._entries:
            raise ValueError(f'The {self.kind} "{entry.name}" is already registered; choose another name.')
        self._entries[entry.name] = entry

    def __getitem__(self, name: str) -> Entry:
        self._discover()
        if name not in self._entries:
            known = ", ".join(sorted(self._entries))
            raise UnknownNameError(
                f'There is no {self.kind} "{name}".{did_you_mean(name, self._entries)} Known: {known}.'
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._entries

    def __iter__(self) -> Iterator[Entry]:
        self._discover()
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name))

    def names(self) -> tuple[str, ...]:
        """Return the names in alphabetical order."""
        return tuple(entry.name for entry in self)

    def load(self, name: str) -> Any:
        """Import and return what the name stands for.

        Raises
        ------
        UnknownNameError
            If there is no such name.
        """
        return self[name].load()

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        for point in entry_points(group=f"beamwright.{self.kind}s"):
            self.register(point.load())

"""YAML files that say what to do, and ``--set`` on the command line: read, override, merge.

What the content means is checked by the record that it becomes, see `beamwright.faults`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from beamwright.errors import ExperimentError

__all__ = ["copied", "merged", "read_overrides", "read_yaml"]


def read_yaml(path: Path, *, needs: str, cure: str) -> dict[str, Any]:
    """Return the mapping that an experiment file holds.

    Parameters
    ----------
    path
        The file.
    needs
        The keys that it must have, in words: ``'"task" and "data"'``.
    cure
        Where to get such a file from; the message ends with it.

    Raises
    ------
    ExperimentError
        If the file is missing, a folder, unreadable, not plain YAML, or not a mapping.
    """
    if path.is_dir():
        raise ExperimentError(f'"{path}" is a folder, not an experiment file; {cure}')
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExperimentError(f'There is no experiment file "{path}"; {cure}') from None
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f'"{path}" cannot be read as an experiment file: {error}.') from None
    except yaml.YAMLError as error:
        raise ExperimentError(f'"{path}" is not plain YAML: {error}') from None
    if not isinstance(content, dict):
        raise ExperimentError(
            f'"{path}" must be a mapping with at least {needs}, not {type(content).__name__}.'
        )
    return content


def read_overrides(overrides: Sequence[str], *, example: str) -> dict[str, Any]:
    """Return the content that ``a.b=value`` from the command line stands for; the values are YAML.

    Parameters
    ----------
    overrides
        Later ones win.
    example
        One that makes sense, for the message.

    Raises
    ------
    ExperimentError
        If one has no key or no value, or its value is not YAML.
    """
    content: dict[str, Any] = {}
    for override in overrides:
        _set(content, override, example)
    return content


def copied(value: Any) -> Any:
    """Return content whose mappings may be changed without changing the original."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return value


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return one mapping laid over another, mapping by mapping."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _set(content: dict[str, Any], override: str, example: str) -> None:
    key, separator, text = override.partition("=")
    keys = key.strip().split(".")
    if not separator or not all(keys):
        raise ExperimentError(f'--set takes key=value, such as {example}, not "{override}".')
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ExperimentError(
            f"The value of --set {override} is not YAML; quote it: --set '{key}=\"...\"'."
        ) from None
    for part in keys[:-1]:
        deeper = content.get(part)
        if not isinstance(deeper, dict):
            deeper = content[part] = {}
        content = deeper
    content[keys[-1]] = value

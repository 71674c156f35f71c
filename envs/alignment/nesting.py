"""Records within records of a configuration: what is said of them lies over the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from beamwright.envs.core.config import merge

__all__ = ["over_defaults"]


def over_defaults(model: type[BaseModel], values: Any, *names: str) -> Any:
    """Return the content of a record with some of its mappings completed from the defaults.

    Parameters
    ----------
    model
        The record.
    values
        Its content, not checked yet.
    *names
        Fields that are records. One that names ``classes`` of specimens is meant anew, and left as it is.
    """
    if not isinstance(values, Mapping):
        return values
    given = {name: values[name] for name in names if isinstance(values.get(name), Mapping)}
    completed = {
        name: value if "classes" in value else merge(model.model_fields[name].default.model_dump(), value)
        for name, value in given.items()
    }
    return {**values, **completed}

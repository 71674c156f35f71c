"""What breaks the rules of a record, in the words of its user instead of those of pydantic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from beamwright.errors import did_you_mean

__all__ = ["explain_faults"]

_WORDS = {
    "string_pattern_mismatch": "must be letters, digits, points, - and _, and begin with a letter or digit",
    "dict_type": "must be a mapping, such as {width: 16}",
    "model_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
}


def explain_faults(error: ValidationError, model: type[BaseModel], origin: str) -> str:
    """Return all faults of some content in words, one a line.

    Parameters
    ----------
    error
        What pydantic found.
    model
        The record that the content was to become; it knows which keys there are.
    origin
        What to call the content: its file.
    """
    lines = [f"{origin} breaks {error.error_count()} rule{'s' if error.error_count() > 1 else ''}:"]
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"] if not _is_branch(part))
        if fault["type"] == "extra_forbidden":
            known = _fields_at(model, place)
            lines.append(
                f"  {place}: there is no such key.{did_you_mean(place.rsplit('.', 1)[-1], known)} "
                f"Known: {', '.join(known)}."
            )
        elif fault["type"] == "missing":
            lines.append(f"  {place}: this key is needed.")
        else:
            value = f" (is {fault['input']!r})" if place else ""
            lines.append(f"  {place + ': ' if place else ''}{_in_words(fault)}{value}{_proposal(fault)}")
    return "\n".join(lines)


def _in_words(fault: Mapping[str, Any]) -> str:
    plain = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return _WORDS.get(fault["type"], plain)


def _proposal(fault: Mapping[str, Any]) -> str:
    """Propose one of the names that a literal may have."""
    if fault["type"] != "literal_error":
        return ""
    proposal = did_you_mean(str(fault["input"]), re.findall("'([^']+)'", fault["ctx"]["expected"]))
    return f".{proposal}" if proposal else ""


def _is_branch(part: int | str) -> bool:
    """Tell the branches of a union from fields."""
    return isinstance(part, str) and part.startswith("[")


def _fields_at(model: type[BaseModel], place: str) -> list[str]:
    """Return the keys that stand beside a place such as ``data.train.image``."""
    for part in place.split(".")[:-1]:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        nested = [item for item in (annotation, *_arguments(annotation)) if _is_model(item)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


def _arguments(annotation: Any) -> list[Any]:
    found: list[Any] = []
    for argument in get_args(annotation):
        found += [argument, *_arguments(argument)]
    return found


def _is_model(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, BaseModel)

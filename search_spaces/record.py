"""What the records of this folder have in common: frozen, closed, and exact in JSON."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from beamwright.errors import SpaceError

__all__ = ["Record"]


class Record(BaseModel):
    """A frozen pydantic model that goes to plain data and back."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Rebuild a record from `to_dict`.

        Raises
        ------
        SpaceError
            If the content breaks a rule; the message has all of them.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            faults = "; ".join(_explain(fault["loc"], fault["msg"]) for fault in error.errors())
            raise SpaceError(f"This is not a valid {cls.__name__.lower()}: {faults}") from None


def _explain(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{'.'.join(map(str, place))}: {message}" if place else message

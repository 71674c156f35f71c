"""Tables in the terminal, and the sections of RESULTS.md that they become."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Section", "date", "machine", "table", "update"]

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = "# Figures\n\nEvery figure with the command that makes it. `make bench` measures all of them again.\n"


@dataclass(frozen=True)
class Section:
    """What a benchmark found.

    Parameters
    ----------
    name
        Of the benchmark.
    title
        Of the section.
    text
        Markdown.
    """

    name: str
    title: str
    text: str


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def machine() -> str:
    """Describe this machine in a few words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} shared cores ({platform.machine()}), no GPU, Python {platform.python_version()}"


def date() -> str:
    return datetime.date.today().isoformat()


def update(section: Section) -> None:
    """Put a section into RESULTS.md, in the place of its older self."""
    begin, end = f"<!-- begin {section.name} -->", f"<!-- end {section.name} -->"
    block = "\n\n".join(
        [
            begin,
            f"## {section.title}",
            f"`python benchmarks/run.py {section.name}`, {date()}, {machine()}.",
            section.text.strip(),
            end,
        ]
    )
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEAD
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    new = pattern.sub(lambda _: block, old) if pattern.search(old) else f"{old.rstrip()}\n\n{block}\n"
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(new, encoding="utf-8")
    os.replace(temporary, RESULTS)

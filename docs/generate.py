"""Writes what the documentation takes from the code: ``python docs/generate.py``.

`docs/experiment.md` as a whole, and in other pages whatever is between ``<!-- generated: NAME -->`` and
``<!-- end -->``. A test compares the committed pages with what this makes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beamwright.agents.baselines import BASELINES
from beamwright.data import Fingerprint, Noise
from beamwright.envs import ENVIRONMENTS
from beamwright.envs.microscope.specimens import SPECIMENS
from beamwright.experiment import Experiment
from beamwright.registry import Registry
from beamwright.search import SAMPLERS, SCHEDULERS
from beamwright.search_spaces import NETWORKS, SPACES, SpaceLimits
from beamwright.tasks import TASKS

HERE = Path(__file__).resolve().parent

SECTIONS = {
    "data": "Data",
    "data.train": "Image sets",
    "data.train.simulate": "Simulated images",
    "data.noise": "Synthetic noise",
    "data.patterns": "Scan patterns",
    "space": "Space",
    "search": "Search",
    "training": "Training",
    "resources": "Resources",
}
# ruff: noqa: E501  pages are wider than code
HEAD = """\
<!-- Written by docs/generate.py from platform/beamwright/experiment.py; change it there. -->
# The experiment file

One YAML file says what to search for, on which data, and for how long. Only `task` and `data.train` are needed. Unknown keys
and values out of range are refused, all at once, before anything starts. A run keeps the resolved file, every default
written out, and that file runs again to the same result ([when](search.md#determinism)).

```yaml
task: denoise
data:
  train: movies/
search:
  trials: 40
```

`beamwright init DATA` writes a file with comments. On the command line any key can be changed, the value being YAML:
`beamwright run experiment.yaml --set search.trials=40 --set space.fix.width=16`.

**Paths** of `data` are relative to the experiment file (those of `--set`, to the working directory); `~` is your home. `storage` is
relative to the working directory.
"""


def experiment_page() -> str:
    """Return the page of all keys."""
    schema = Experiment.model_json_schema()
    parts = [HEAD, "## The file as a whole", _keys(schema, schema, "")]
    for place, title in SECTIONS.items():
        section = _follow(schema, place)
        summary = section["description"].replace("``", "`")
        parts += [f"## {title}: `{place}`", summary, _keys(schema, section, place)]
    return "\n\n".join(part.strip() for part in parts) + "\n\n" + RULES


RULES = """\
## Rules between keys

* `search.grace_epochs` must not exceed `training.epochs`.
* `search.objectives` must contain `quality`; `cmaes` takes one objective only.
* `search.trials` must be 4 at least with the scheduler `pbt`.
* `resources.device: cpu` contradicts `resources.gpus` above 0, and `cuda` contradicts `resources.gpus: 0`.
* `data.regime: synthetic` refuses targets in every role; `clean` needs them in every role.
* `simulate` stands instead of `images` and `targets`, in any role, and needs `data.regime: synthetic` (or `auto`).
"""


def _follow(schema: dict[str, Any], place: str) -> dict[str, Any]:
    """Return the schema of a section."""
    section = schema
    for key in place.split("."):
        section = _resolved(schema, section["properties"][key])
    return section


def _resolved(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a field refers to, if need be as one of two: the other says that it may be left out."""
    reference = next((item["$ref"] for item in (field, *field.get("anyOf", ())) if "$ref" in item), None)
    return schema["$defs"][reference.rsplit("/", 1)[1]] if reference else field


def _keys(schema: dict[str, Any], section: dict[str, Any], place: str) -> str:
    """Return the table of a section's keys, those that are sections themselves only by name."""
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in section["properties"].items():
        path = f"{place}.{name}".lstrip(".")
        needed = name in section.get("required", ())
        is_section = path in SECTIONS and _resolved(schema, field) is not field
        default = "needed" if needed else "" if is_section else _value(field.get("default", {}))
        kind = "section" if is_section and path != "data.train" else _type(field)
        lines.append(f"| `{name}` | {kind} | {default} | {_meaning(schema, field)} |")
    return "\n".join(lines)


def _meaning(schema: dict[str, Any], field: dict[str, Any]) -> str:
    text = field.get("description") or _resolved(schema, field).get("description", "")
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _type(field: dict[str, Any]) -> str:
    """Return a type in words."""
    if "$ref" in field:
        return "paths or mapping"
    if "enum" in field:
        return ", ".join(f"`{item}`" for item in field["enum"])
    if field.get("title") in ("Images", "Targets"):  # one path may stand for a list of one
        return "path or paths"
    kinds = [_type(item) for item in field.get("anyOf", field.get("oneOf", ())) if item.get("type") != "null"]
    if kinds:
        return " or ".join(dict.fromkeys(kinds))
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    if field["type"] == "array":
        return "list"
    return "mapping" if field["type"] == "object" else words[field["type"]] + _bounds(field)


def _bounds(field: dict[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    found = [f"{word} {field[key]:,}" for key, word in words.items() if key in field]
    return " " + ", ".join(found) if found else ""


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _entries(registry: Registry) -> str:
    lines = ["| name | what it is | source |", "|---|---|---|"]
    lines += [f"| `{entry.name}` | {entry.summary} | {_link(entry.source)} |" for entry in registry]
    return "\n".join(lines)


def _link(source: str) -> str:
    return re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)


def _parameters() -> str:
    """Return the table of the space's parameters, with the limits' defaults."""
    lines = ["| parameter | values |", "|---|---|"]
    for name, parameter in SPACES.load("denoise")(SpaceLimits()).table.items():
        scale = ", logarithmic" if getattr(parameter, "log", False) else ""
        lines.append(f"| `{name}` | {str(parameter).removeprefix('one of ')}{scale} |")
    return "\n".join(lines)


def _metrics(task: str) -> str:
    lines = ["| metric | unit | better | what it is |", "|---|---|---|---|"]
    for metric in TASKS.load(task).metrics:
        better = "higher" if metric.maximise else "lower"
        lines.append(f"| `{metric.name}` | {metric.unit or '1'} | {better} | {metric.summary} |")
    return "\n".join(lines)


def _fields(record: type) -> str:
    lines = ["| field | meaning |", "|---|---|"]
    lines += [f"| {names} | {meaning} |" for names, meaning in _documented(record)]
    return "\n".join(lines)


def _documented(record: type) -> Iterator[tuple[str, str]]:
    """Yield names and meaning of the parameters of a NumPy docstring."""
    text = inspect.getdoc(record) or ""
    block = text.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    for match in re.finditer(r"^(\S.*)\n((?:    .*\n?)+)", block, re.MULTILINE):
        names = ", ".join(f"`{name}`" for name in match[1].split(", "))
        yield names, " ".join(match[2].split()).replace("``", "`").replace("|", "\\|")


def _presets() -> str:
    lines = ["| environment | presets |", "|---|---|"]
    for entry in ENVIRONMENTS:
        names = ", ".join(f"`{name}`" for name in entry.load().presets)
        lines.append(f"| `{entry.name}` | {names} |")
    return "\n".join(lines)


BLOCKS = {
    "networks": lambda: _entries(NETWORKS),
    "samplers": lambda: _entries(SAMPLERS),
    "schedulers": lambda: _entries(SCHEDULERS),
    "parameters": _parameters,
    "metrics": lambda: _metrics("denoise"),
    "inpaint_metrics": lambda: _metrics("inpaint"),
    "environments": lambda: _entries(ENVIRONMENTS),
    "presets": _presets,
    "specimens": lambda: _entries(SPECIMENS),
    "baselines": lambda: _entries(BASELINES),
    "fingerprint": lambda: _fields(Fingerprint),
    "noise": lambda: _fields(Noise),
}


def filled(page: str) -> str:
    """Return a page with its generated blocks as the code has them."""
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{BLOCKS[match[2]]()}\n{match[3]}",
        page,
        flags=re.DOTALL,
    )


def pages() -> dict[Path, str]:
    """Return every page that has something generated, as it should be."""
    found = {HERE / "experiment.md": experiment_page()}
    for path in sorted(HERE.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if path not in found and "<!-- generated: " in text:
            found[path] = filled(text)
    return found


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()

"""The source layout, and who may import whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOTS = {
    "platform/beamwright": "beamwright",
    "search_spaces": "beamwright.search_spaces",
    "envs": "beamwright.envs",
    "agents": "beamwright.agents",
}
LAYERS = {
    "errors": 0,
    "faults": 0,
    "registry": 0,
    "plain": 0,
    "cores": 0,
    "experiment": 1,
    "runtime": 1,
    "search_spaces": 2,
    "data": 2,
    "envs": 3,
    "tasks": 3,
    "tracking": 4,
    "training": 4,
    "export": 4,
    "agents": 4,
    "search": 5,
    "testing": 5,
}
HEAVY = {"torch", "ray", "optuna", "skimage", "tensorboard", "onnx", "bioimageio", "plotly"}
LIGHT = {"errors", "faults", "registry", "experiment", "runtime", "data", "predict", "cli", "starting"}


def _modules(repository: Path) -> dict[str, Path]:
    found = {}
    for root, package in ROOTS.items():
        for path in sorted((repository / root).rglob("*.py")):
            parts = path.relative_to(repository / root).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            found[name] = path
    return found


def _imports(path: Path, *, top_level_only: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def test_every_package_is_listed_for_the_build(repository: Path) -> None:
    configured = tomllib.loads((repository / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    existing = {name for name, path in _modules(repository).items() if path.name == "__init__.py"}
    assert existing == set(configured)


def test_platform_is_a_source_root_and_not_a_package(repository: Path) -> None:
    assert not (repository / "platform" / "__init__.py").exists()


def test_lower_layers_do_not_import_higher_ones(repository: Path) -> None:
    faults = []
    for name, path in _modules(repository).items():
        part = [*name.split("."), "", ""][1]
        if part not in LAYERS:
            continue
        for target in _imports(path, top_level_only=True):
            other = [*target.split("."), "", ""][1]
            if target.startswith("beamwright.") and LAYERS.get(other, 0) > LAYERS[part]:
                faults.append(f"{name} imports {target}")
    assert not faults


def test_only_the_search_imports_ray(repository: Path) -> None:
    importers = {
        name
        for name, path in _modules(repository).items()
        if any(target.split(".")[0] == "ray" for target in _imports(path, top_level_only=False))
    }
    assert importers
    assert all(name.startswith("beamwright.search.") for name in importers)


def test_only_one_module_knows_of_the_gpl_library(repository: Path) -> None:
    knowing = {name for name, path in _modules(repository).items() if "rsciio" in path.read_text()}
    assert knowing == {"beamwright.data.rosetta"}


def test_light_parts_import_nothing_heavy(repository: Path) -> None:
    modules = [
        name for name in _modules(repository) if [*name.split("."), ""][1] in LIGHT and "rosetta" not in name
    ]
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in result.stdout.split()}
    assert not loaded & HEAVY


def test_the_top_of_the_package_is_small() -> None:
    import beamwright

    assert beamwright.__all__ == ["__version__"]


def test_version_is_the_same_everywhere(repository: Path) -> None:
    import beamwright

    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert project["version"] == beamwright.__version__
    assert beamwright.__version__ in (repository / "CHANGELOG.md").read_text()


def test_every_dependency_says_who_needs_it(repository: Path) -> None:
    text = (repository / "pyproject.toml").read_text()
    block = text[text.index("dependencies = [") : text.index("# GPL-3")]
    lines = [line for line in block.splitlines() if line.strip().startswith('"')]
    assert lines
    assert all("#" in line for line in lines)


def test_constraints_pin_every_package(repository: Path) -> None:
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert all(line.count("==") == 1 for line in pins)


def test_the_files_that_need_a_dependency_exist(repository: Path) -> None:
    text = (repository / "pyproject.toml").read_text(encoding="utf-8").partition("[project.scripts]")[0]
    named = set(re.findall(r"[\w/]+\.py\b", text))
    assert len(named) > 10
    roots = (repository / "platform" / "beamwright", repository)
    assert not [name for name in named if not any((root / name).is_file() for root in roots)]

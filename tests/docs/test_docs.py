"""The documentation against the code: generated parts, commands, experiments, Python, links."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

from beamwright.cli import KINDS, app
from beamwright.data.formats import READERS
from beamwright.experiment import Experiment, load_experiment
from beamwright.play import load_play

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(beamwright [^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SMALLEST = {"task": "denoise", "data": {"train": "images"}}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _blocks(language: str) -> Iterator[tuple[str, str]]:
    for name, path in PAGES.items():
        for found, content in FENCE.findall(path.read_text(encoding="utf-8")):
            if found == language:
                yield name, content


def _commands() -> Iterator[tuple[str, str]]:
    """Yield every command line: those in blocks without a language, and those in running text."""
    for name, path in PAGES.items():
        text = path.read_text(encoding="utf-8")
        for _, block in FENCE.findall(text):
            for line in block.splitlines():
                if line.removeprefix("$ ").startswith("beamwright "):
                    yield name, line.removeprefix("$ ")
        for command in INLINE.findall(FENCE.sub("", text)):
            yield name, command.replace(r"\|", "|")


def test_there_is_something_to_check() -> None:
    assert set(PAGES) >= {
        f"docs/{page}.md" for page in ("experiment", "search", "data", "bundles", "conventions")
    }
    assert len(list(_commands())) > 20
    assert len(list(_blocks("python"))) >= 3


def test_generated_parts_are_up_to_date(generate: ModuleType) -> None:
    made = generate.pages()
    assert {path.name for path in made} >= {"experiment.md", "search.md", "data.md"}
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old: python docs/generate.py"


def test_every_key_has_a_meaning(generate: ModuleType) -> None:
    schema = Experiment.model_json_schema()
    sections = {"": schema, **{place: generate._follow(schema, place) for place in generate.SECTIONS}}
    fields = {
        f"{place}.{name}".lstrip("."): field
        for place, section in sections.items()
        for name, field in section["properties"].items()
    }
    for path, field in fields.items():
        assert generate._meaning(schema, field), f"{path} has no docstring"


@pytest.mark.parametrize(("page", "line"), list(_commands()))
def test_commands_exist(page: str, line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    if words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"{page}: there is no command {name}"
        command = command.commands[name]
    options = {text: option for option in command.params for text in (*option.opts, *option.secondary_opts)}
    places = sum(
        8 if item.nargs == -1 else 1 for item in command.params if item.param_type_name == "argument"
    )
    values = []
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            values.append(word)
            continue
        assert word in options or word == "--help", f"{page}: {line}: there is no option {word}"
        if word in options and not options[word].is_flag:
            assert words, f"{page}: {line}: {word} needs a value"
            given = words.pop(0)
            if word == "--set" and name == "play":
                load_play(values[0], [given])
            elif word == "--set":
                load_experiment(SMALLEST, [given])
    assert len(values) <= places, f"{page}: {line}: too many arguments"
    if line.startswith("beamwright list "):
        assert set(values[0].split("|")) <= set(KINDS)


@pytest.mark.parametrize(("page", "block"), list(_blocks("yaml")))
def test_experiments_are_valid(page: str, block: str) -> None:
    content = yaml.safe_load(block)
    assert isinstance(content, dict)
    assert "task" in content, f"{page}: an example should run: give task and data"
    load_experiment(content)


@pytest.mark.parametrize(("page", "block"), list(_blocks("python")))
def test_python_compiles_and_its_imports_exist(page: str, block: str) -> None:
    tree = ast.parse(block, filename=page)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                assert hasattr(module, alias.name), f"{page}: {node.module} has no {alias.name}"


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page: str) -> None:
    text = FENCE.sub("", PAGES[page].read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (PAGES[page].parent / name).resolve() if name else PAGES[page]
        assert target.exists(), f"{page}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_slug(heading) for heading in headings}, f"{page}: {link}"


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_format_is_listed() -> None:
    table = PAGES["docs/data.md"].read_text(encoding="utf-8").partition("## Splits")[0]
    for suffix in READERS:
        plain = suffix.removesuffix(".gz").removesuffix(".bz2")
        assert plain in table, suffix


def test_every_member_of_a_bundle_is_listed() -> None:
    from beamwright.runtime.bundle import _LIMITS

    text = PAGES["docs/bundles.md"].read_text(encoding="utf-8")
    for name in (*_LIMITS, "rdf.yaml", "README.md", "cover.png"):
        assert f"`{name}`" in text

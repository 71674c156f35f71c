"""The command line; each command imports what it needs when it runs."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beamwright import __version__
from beamwright.errors import BeamwrightError, BeamwrightWarning, MissingExtraError

if TYPE_CHECKING:
    from rich.console import Console

    from beamwright.data import Fingerprint
    from beamwright.tracking import RunFolder

__all__ = ["app", "main"]

app = typer.Typer(
    name="beamwright",
    help="Find the best network for an electron-microscopy task, and use it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)

KINDS = ("tasks", "environments", "baselines", "spaces", "networks", "samplers", "schedulers", "specimens")
# Where each package of the extra "search" is imported from is not the user's business.
_SEARCH_PACKAGES = (
    "torch",
    "ray",
    "optuna",
    "tensorboard",
    "skimage",
    "plotly",
    "onnx",
    "bioimageio",
    "cmaes",
)

_FLY_PACKAGES = ("gymnasium", "moviepy", "pygame", "matplotlib")

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change a value: [cyan]search.trials=10[/]. May be repeated.", metavar="KEY=VALUE"
    ),
]
Stack = StrEnum("Stack", ("auto", "images", "movie"))
RunPath = Annotated[
    Path | None, typer.Argument(help="Run folder; by default the latest in ./runs.", show_default=False)
]


def main() -> None:
    """Run the command line: a user's mistake ends in one message, not in a traceback."""
    # One thread per process unless the user says otherwise: trials share the cores, not the threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    warnings.showwarning = _show_warning
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except BeamwrightError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        extra = _extra_of((error.name or "").split(".")[0])
        if extra is None:
            raise
        _fail(str(MissingExtraError(f"This command (it imports {error.name})", extra)))
    except KeyboardInterrupt:
        sys.exit(130)


def _extra_of(package: str) -> str | None:
    """Return the extra that brings a package."""
    if package in _FLY_PACKAGES or (package == "torch" and "play" in sys.argv[1:2]):
        return "fly"
    return "search" if package in _SEARCH_PACKAGES else None


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def init(
    data: Annotated[Path, typer.Argument(help="Folder or file of images.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Experiment file to write.")] = Path(
        "experiment.yaml"
    ),
    task: Annotated[str, typer.Option(help="Task, see [cyan]beamwright list tasks[/].")] = "denoise",
) -> None:
    """Write an experiment file for a folder of images, with comments, to start from."""
    from beamwright.starting import write_experiment

    write_experiment(output, task=task, data=data)
    print(f'wrote {output}; look at it, then: beamwright run "{output}"')


@app.command()
def run(experiment: ExperimentFile, overrides: Overrides = None) -> None:
    """Search, as the experiment file says, and leave a run folder with leaderboard and report."""
    from beamwright.experiment import load_experiment
    from beamwright.search import run_search

    loaded = load_experiment(experiment, overrides or ())
    _conclude(run_search(loaded, command=shlex.join(["beamwright", *sys.argv[1:]]), console=_console()))


@app.command()
def resume(path: RunPath = None, overrides: Overrides = None) -> None:
    """Go on with an interrupted run, or extend a finished one: [cyan]--set search.trials=40[/]."""
    from beamwright.search import resume_search

    _conclude(resume_search(_open_run(path), overrides=overrides or (), console=_console()))


@app.command("list")
def list_names(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.", show_default=False)],
) -> None:
    """List what an experiment file may name, one line each."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for entry in _registry(kind):
        table.add_row(entry.name, entry.summary + (f" [dim]({entry.source})[/]" if entry.source else ""))
    _wide_console().print(table)


@app.command()
def doctor() -> None:
    """Say what this machine has, and what would not work on it."""
    from beamwright.doctor import examine

    examine(_console())


@app.command()
def inspect(
    data: Annotated[
        list[Path],
        typer.Argument(help="Files, folders or globs; or one experiment file.", show_default=False),
    ],
    stack: Annotated[
        Stack | None, typer.Option(help="What a file of several frames is.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the fingerprint as JSON.")] = False,
) -> None:
    """Look at images before training: sizes, noise, scale, duplicates, and what is wrong with them."""
    from json import dumps

    from beamwright.data import describe, fingerprint, scan_images

    if len(data) == 1 and data[0].suffix in (".yaml", ".yml"):
        found = _fingerprint_of(data[0], stack)
    else:
        kind: Any = (stack or Stack.auto).value
        files = scan_images([str(path) for path in data], stack=kind)
        found = fingerprint({"data": files})
    print(dumps(found.to_dict(), indent=2) if json else describe(found))


@app.command()
def leaderboard(path: RunPath = None) -> None:
    """Show the networks of a run beside the classical methods."""
    _show_leaderboard(_open_run(path))


@app.command()
def report(path: RunPath = None) -> None:
    """Write the run's report: one HTML page that needs nothing else."""
    from beamwright.tracking.report import write_report

    print(write_report(_open_run(path)))


@app.command()
def review(
    path: RunPath = None,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 6006,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others may look on if it is not loopback.")
    ] = "127.0.0.1",
) -> None:
    """Start TensorBoard on a run."""
    folder = _open_run(path)
    os.execv(
        sys.executable,
        [
            *(sys.executable, "-m", "tensorboard.main"),
            *("--logdir", str(folder.trials_path), "--host", host, "--port", str(port)),
        ],
    )


@app.command()
def export(
    path: RunPath = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder or .zip; by default inside the run.")
    ] = None,
    trial: Annotated[
        int | None, typer.Option(help="Number of a trial; by default the winner.", min=0)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Make a bundle of the best model: tested, documented, and free of torch and ray."""
    from beamwright.search.bundling import export_run

    bundle = export_run(_open_run(path), output, trial=trial, overwrite=overwrite)
    print(f'{bundle}\nuse it: beamwright predict "{bundle}" IMAGES -o OUTPUT')


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="Bundle: folder or .zip.", show_default=False)],
    inputs: Annotated[list[Path], typer.Argument(help="Files, folders or globs.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File, or folder for several.", show_default=False)
    ],
    dose: Annotated[
        list[Path] | None,
        typer.Option(
            help="Electrons per pixel, for models of sparse scans: a file for all inputs, or a folder.",
            show_default=False,
        ),
    ] = None,
    tile: Annotated[
        int | None, typer.Option(help=r"Edge of tiles \[px]; by default from the memory.", min=1)
    ] = None,
    memory: Annotated[float, typer.Option(help=r"Memory for one tile \[GiB].", min=0.001)] = 2.0,
    threads: Annotated[int | None, typer.Option(help="Threads; by default one per core.", min=1)] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there; inputs never are.")
    ] = False,
) -> None:
    """Run a bundle on images of any size; pixel sizes are kept."""
    from beamwright.predict import predict_files

    with _progress_bar() as progress:
        written = predict_files(
            bundle,
            list(map(str, inputs)),
            output,
            dose=list(map(str, dose)) if dose else None,
            tile=tile,
            memory=int(memory * 2**30),
            threads=threads,
            overwrite=overwrite,
            progress=progress,
        )
    for path in written:
        print(path)


@app.command("play")
def play_episodes(
    source: Annotated[
        str, typer.Argument(metavar="ENV|FILE", help="Environment, or a YAML file that names one.")
    ],
    preset: Annotated[str | None, typer.Option(help="Preset of the environment.", show_default=False)] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change the environment: [cyan]budget.electrons=1e5[/].", metavar="KEY=VALUE"
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Who plays, see [cyan]beamwright list baselines[/].", show_default=False),
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="How many.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first episode.", show_default=False)] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Film: .gif or .mp4; beside it a contact sheet, .png.")
    ] = Path("play.gif"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Let a baseline play an environment, and film it."""
    from rich.table import Table

    from beamwright.play import episodes_table, load_play, play

    config = load_play(
        source, overrides or (), preset=preset, baseline=baseline, episodes=episodes, seed=seed
    )
    played = play(config, output, overwrite=overwrite)
    heading, *rows = episodes_table(played)
    table = Table(*heading, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    _wide_console().print(table)
    print(f"{output}\n{output.with_suffix('.png')}")


def _fingerprint_of(path: Path, stack: Stack | None) -> Fingerprint:
    """Return what a run of the experiment would find in its data."""
    from beamwright.data import fingerprint, resolve_regime, split_files
    from beamwright.experiment import load_experiment
    from beamwright.tasks.simulating import simulated_images

    experiment = load_experiment(path, [f"data.stack={stack.value}"] if stack else ())
    split = split_files(experiment.data, seed=experiment.seed, simulate=simulated_images)
    return fingerprint(split.inputs(), regime=resolve_regime(experiment.data, split))


@contextmanager
def _progress_bar() -> Iterator[Callable[[Path, int, int], None] | None]:
    """Give what shows the frames that are done, or None where nobody looks on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        frames = bar.add_task("predict", total=None)
        yield lambda path, done, total: bar.update(frames, description=path.name, completed=done, total=total)


def _conclude(folder: RunFolder) -> None:
    from beamwright.tracking.summary import summarise

    _show_leaderboard(folder)
    console = _console()
    for line in summarise(folder):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _show_leaderboard(folder: RunFolder) -> None:
    from beamwright.tracking.leaderboard import leaderboard_rows, leaderboard_table, leaderboard_text
    from beamwright.tracking.metrics import metrics_of

    console = _console()
    rows, metrics = leaderboard_rows(folder), metrics_of(folder)
    if not any(row.kind == "network" for row in rows):
        print(f'No trial of "{folder.path}" has figures yet; the run is {folder.state}.')
    if not rows:
        return
    if console.is_terminal:
        console.print(leaderboard_table(rows, metrics, title=folder.name, width=console.width))
    else:
        print(leaderboard_text(rows, metrics), end="")


def _open_run(path: Path | None) -> RunFolder:
    from beamwright.tracking import RunFolder

    return RunFolder.latest("runs") if path is None else RunFolder.open(path)


def _registry(kind: str) -> Any:
    if kind not in KINDS:
        from beamwright.errors import UnknownNameError, did_you_mean

        raise UnknownNameError(
            f'There is no list of "{kind}".{did_you_mean(kind, KINDS)} Known: {", ".join(KINDS)}.'
        )
    if kind == "tasks":
        from beamwright.tasks import TASKS

        return TASKS
    if kind in ("spaces", "networks"):
        from beamwright.search_spaces import NETWORKS, SPACES

        return SPACES if kind == "spaces" else NETWORKS
    if kind == "environments":
        from beamwright.envs import ENVIRONMENTS

        return ENVIRONMENTS
    if kind == "baselines":
        from beamwright.agents.baselines import BASELINES

        return BASELINES
    if kind == "specimens":
        from beamwright.envs.microscope.specimens import SPECIMENS

        return SPECIMENS
    from beamwright.search import SAMPLERS, SCHEDULERS

    return SAMPLERS if kind == "samplers" else SCHEDULERS


def _console() -> Console:
    from rich.console import Console

    return Console()


def _wide_console() -> Console:
    """Return a console that does not cut tables when the output is a file."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=240)


def _show_warning(message: Any, category: type[Warning], *place: Any, **where: Any) -> None:
    if issubclass(category, BeamwrightWarning):
        print(f"warning: {message}", file=sys.stderr)


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()

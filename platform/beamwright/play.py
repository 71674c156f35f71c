"""A baseline at the controls: ``beamwright play`` makes a film and a contact sheet of its episodes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from beamwright.errors import ExperimentError, UnknownNameError, did_you_mean
from beamwright.faults import explain_faults
from beamwright.yaml_files import merged, read_overrides, read_yaml

if TYPE_CHECKING:
    import gymnasium
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["Episode", "PlayConfig", "episodes_table", "load_play", "play"]

SHEET = 12
"""Pictures of a contact sheet."""
_HOLD = 4  # the last picture of an episode stays for as many frames
_EXAMPLE = "budget.electrons=1e5"
_NOT_CONFIGURATION = {
    "preset": "has an option of its own, --preset",
    "render_mode": "is always rgb_array here",
    "microscope": "is made in Python, where the environment takes it as an argument",
}

Film = Sequence["NDArray[np.uint8]"]


class PlayConfig(BaseModel):
    """What to play: the content of a YAML file, or of the command line."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    environment: str
    """A registered environment: ``beamwright list environments``."""
    preset: str | None = None
    """One of the environment's presets; by default its own values."""
    set: dict[str, Any] = Field(default_factory=dict)
    """What to change in the environment's configuration."""
    baseline: str = "random"
    """Who plays: ``beamwright list baselines``."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the baseline."""
    episodes: int = Field(1, ge=1, le=100)
    """How many episodes."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the first episode; the next have the next."""
    frames_per_second: int = Field(4, ge=1, le=60)
    """Of the film."""

    @field_validator("set")
    @classmethod
    def _is_configuration(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in values:
            if name in _NOT_CONFIGURATION:
                raise ValueError(f"cannot set {name}, which {_NOT_CONFIGURATION[name]}")
        return values


@dataclass(frozen=True)
class Episode:
    """What an episode gave.

    Parameters
    ----------
    steps
        Number of actions.
    total
        Sum of the rewards.
    figures
        The scalars of the environment's last info.
    """

    steps: int
    total: float
    figures: dict[str, float]


def load_play(source: str | Path, overrides: Sequence[str] = (), **changes: Any) -> PlayConfig:
    """Return what an environment's id, or a YAML file, stands for.

    Parameters
    ----------
    source
        ``beamwright/SparseScan-v0``, ``SparseScan`` for short, or a file with at least ``environment``.
    overrides
        ``"budget.electrons=1e5"``: changes of the environment's configuration.
    **changes
        Other fields of `PlayConfig`; None changes nothing.

    Raises
    ------
    ExperimentError
        If the content breaks a rule; all faults at once.
    UnknownNameError
        If there is no such environment.
    """
    content: dict[str, Any] = {"environment": str(source)}
    origin = "The command line"
    if Path(source).suffix in (".yaml", ".yml"):
        content = read_yaml(Path(source), needs='"environment"', cure="give an environment's id instead.")
        origin = str(source)
    content = merged(content, {key: value for key, value in changes.items() if value is not None})
    if overrides:
        content = merged({"set": {}} | content, {"set": read_overrides(overrides, example=_EXAMPLE)})
    try:
        config = PlayConfig.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(explain_faults(error, PlayConfig, origin)) from None
    return config.model_copy(update={"environment": _full_name(config.environment)})


def play(
    config: PlayConfig,
    output: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[Episode], None] | None = None,
) -> list[Episode]:
    """Let a baseline play, and write the film and beside it the contact sheet.

    Parameters
    ----------
    config
        What to play.
    output
        A ``.gif`` or ``.mp4``; the contact sheet has the same name and ends in ``.png``.
    overwrite
        Replace files that are there.
    progress
        Called after each episode.

    Raises
    ------
    ExperimentError
        If the output cannot be written, or the baseline does not play this environment.
    MicroscopeError
        If the environment's configuration breaks a rule.
    """
    import gymnasium

    import beamwright.envs  # noqa: F401  makes the ids known
    from beamwright.agents.baselines.baseline import make_baseline

    sheet = output.with_suffix(".png")
    _check_output(output, sheet, overwrite)
    baseline = make_baseline(config.baseline, config.environment, **config.options)
    env = gymnasium.make(config.environment, preset=config.preset, render_mode="rgb_array", **config.set)
    played: list[list[NDArray[np.uint8]]] = []
    episodes = []
    try:
        for index in range(config.episodes):
            episode, pictures = _play_episode(env, baseline, config.seed + index)
            episodes.append(episode)
            played.append(pictures)
            if progress:
                progress(episode)
    finally:
        env.close()
    output.parent.mkdir(parents=True, exist_ok=True)
    pictures = [picture for episode in played for picture in episode]
    with _appearing(output) as path:
        held = [picture for episode in played for picture in [*episode, *[episode[-1]] * _HOLD]]
        _write_film(path, held, config.frames_per_second)
    with _appearing(sheet) as path:
        make_sheet(pictures).save(path)
    return episodes


def make_sheet(film: Film, *, count: int = SHEET, columns: int = 3) -> Image.Image:
    """Return a picture of evenly chosen frames, the first and the last among them."""
    from PIL import Image

    chosen = np.unique(np.linspace(0, len(film) - 1, count).round().astype(int))
    height, width = film[0].shape[:2]
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (min(columns, len(chosen)) * width, rows * height))
    for place, index in enumerate(chosen):
        sheet.paste(Image.fromarray(film[index]), (place % columns * width, place // columns * height))
    return sheet


def _play_episode(
    env: gymnasium.Env[Any, Any], baseline: Any, seed: int
) -> tuple[Episode, list[NDArray[np.uint8]]]:
    observation, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    baseline.reset(env)
    pictures, total, ended = [_picture(env)], 0.0, False
    while not ended:
        observation, reward, terminated, truncated, info = env.step(baseline.act(observation, info))
        total += float(reward)
        pictures.append(_picture(env))
        ended = terminated or truncated
    figures = {name: float(value) for name, value in info.items() if np.ndim(value) == 0}
    return Episode(len(pictures) - 1, total, figures), pictures


def _picture(env: gymnasium.Env[Any, Any]) -> NDArray[np.uint8]:
    return np.asarray(env.render(), dtype=np.uint8)


def _full_name(name: str) -> str:
    """Return the id of an environment that may be given without its namespace and version."""
    from beamwright.envs import ENVIRONMENTS

    short = {entry.name.removeprefix("beamwright/").removesuffix("-v0"): entry.name for entry in ENVIRONMENTS}
    if name in short or name in ENVIRONMENTS:
        return short.get(name, name)
    raise UnknownNameError(
        f'There is no environment "{name}".{did_you_mean(name, short)} Known: {", ".join(short)}.'
    )


def _check_output(output: Path, sheet: Path, overwrite: bool) -> None:
    if output.suffix.lower() not in (".gif", ".mp4"):
        raise ExperimentError(
            f'{output}: a film is a .gif or .mp4, not a "{output.suffix}"; name the output play.gif.'
        )
    there = [str(path) for path in (output, sheet) if path.exists()]
    if there and not overwrite:
        raise ExperimentError(
            f"{', '.join(there)}: already there; give another --output, or replace it (--overwrite)."
        )


def _write_film(path: Path, film: Film, frames_per_second: int) -> None:
    if path.suffix.lower() == ".mp4":
        _write_mp4(path, film, frames_per_second)
        return
    from PIL import Image

    # One palette for all: pictures of one kind, and colours that do not flicker.
    palette = make_sheet(film).quantize(255)
    first, *others = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in film
    )
    duration = round(1000 / frames_per_second)
    first.save(path, save_all=True, append_images=others, duration=duration, loop=0, optimize=False)


def _write_mp4(path: Path, film: Film, frames_per_second: int) -> None:
    from moviepy.video.io.ImageSequenceClip import ImageSequenceClip

    clip = ImageSequenceClip([_even(frame) for frame in film], fps=frames_per_second)
    clip.write_videofile(str(path), codec="libx264", audio=False, logger=None)
    clip.close()


def _even(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame with even sides: the codec takes no others."""
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Give a temporary name beside a file; it becomes the file if the block ends well."""
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
        yield Path(folder) / target.name
        os.replace(Path(folder) / target.name, target)


def episodes_table(episodes: Sequence[Episode]) -> Iterator[list[str]]:
    """Yield the rows of a table: a heading, then one row an episode."""
    names = list(episodes[0].figures)
    yield ["episode", "steps", "return", *names]
    for index, episode in enumerate(episodes):
        cells = [f"{episode.figures[name]:.4g}" for name in names]
        yield [str(index), str(episode.steps), f"{episode.total:.4g}", *cells]

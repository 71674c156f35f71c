"""Who measures what, at equal electrons: static patterns, paths that look, points that jump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from results import Section, table

from beamwright.agents.baselines.baseline import make_baseline
from beamwright.agents.evaluation import Played, difference, play_episodes

__all__ = ["Comparison", "compare", "measure"]

EPISODES = 500
SEED = 1_000_000
POOL = 512
LOCALISED = ("particle_cluster", "atom_cluster", "textured_flake")
OTHERS = ("particles_anywhere", "lattice_with_defects", "membrane_texture")
STATIC = ("raster", "serpentine", "spiral", "square-spiral", "lissajous", "optimised-path", "random-walk")
POINTS = ("grid", "jittered-grid", "halton", "slads")
LOOKING = ("greedy", "greedy-learned", "oracle")
WHOLE = ("grid", "slads")
TILES = ("random", "tiles-in-order", "tiles-apart", *LOOKING)


@dataclass(frozen=True)
class Comparison:
    """What several baselines reached on the same held-out specimens.

    Parameters
    ----------
    env_id
        The environment.
    overrides
        What all share, such as the preset.
    played
        By class of specimens, then by baseline.
    """

    env_id: str
    overrides: Mapping[str, Any]
    played: dict[str, dict[str, Played]] = field(default_factory=dict)

    def add(self, kind: str, name: str, *, episodes: int, **overrides: Any) -> Played:
        """Play a baseline on specimens of a class, on others of which it tunes itself or learns."""
        specimen = {"classes": (kind,), "pool": POOL}
        settings = {**self.overrides, "specimen": specimen, "split": "test", **overrides}
        baseline = make_baseline(name, self.env_id)
        found = play_episodes(self.env_id, baseline, episodes, seed=SEED, **settings)
        self.played.setdefault(kind, {})[name] = found
        return found

    def rows(self, names: Sequence[str], figure: str, digits: int) -> str:
        """Return a table of means with half-widths of their intervals, a row for each baseline."""
        kinds = [kind for kind in self.played if all(name in self.played[kind] for name in names)]
        cells = [
            [name, *(_cell(self.played[kind][name], figure, digits) for kind in kinds)] for name in names
        ]
        return table(["", *(kind.replace("_", " ") for kind in kinds)], cells)

    def gains(self, name: str, rivals: Sequence[str]) -> str:
        """Return how much a baseline is above the best of its rivals on each class, with paired intervals."""
        rows = []
        for kind, played in self.played.items():
            best = max(rivals, key=lambda rival: played[rival].mean("psnr"))
            psnr, low, high = difference(played[name], played[best], "psnr")
            likeness, *_ = difference(played[name], played[best], "ssim")
            rows.append(
                [kind.replace("_", " "), best, f"{psnr:+.2f} ({low:+.2f} to {high:+.2f})", f"{likeness:+.3f}"]
            )
        return table(["", "best rival", "PSNR [dB]", "SSIM"], rows)


def measure(episodes: int = EPISODES) -> Section:
    """Return the comparisons on held-out specimens, 500 of each class."""
    torch.set_num_threads(1)
    segments = compare(
        "beamwright/SparseScan-v0",
        (*LOCALISED, *OTHERS),
        (*STATIC, *LOOKING, *POINTS),
        episodes=episodes,
        preset="localised",
    )
    steered = compare(
        "beamwright/SparseScan-v0",
        LOCALISED[:1] + OTHERS[-1:],
        (*STATIC[2:], *LOOKING),
        episodes=episodes,
        preset="ede-2020",
    )
    tiles = compare(
        "beamwright/SparseScanTiles-v0",
        LOCALISED[:1] + OTHERS[-1:],
        TILES,
        episodes=episodes,
        preset="localised",
        whole=WHOLE,
    )
    text = "\n\n".join((_introduction(episodes), _segments(segments), _steered(steered), _tiles(tiles)))
    return Section("scan_baselines", "Baselines for scanning", text)


def compare(
    env_id: str,
    kinds: Sequence[str],
    names: Sequence[str],
    *,
    episodes: int,
    preset: str,
    whole: Sequence[str] = (),
) -> Comparison:
    """Play baselines on each class of specimens; those of `whole` have no survey before them."""
    comparison = Comparison(env_id, {"preset": preset})
    for kind in kinds:
        for name in names:
            comparison.add(kind, name, episodes=episodes)
        for name in whole:
            comparison.add(kind, name, episodes=episodes, survey=None)
    return comparison


def _introduction(episodes: int) -> str:
    return (
        f"{episodes} held-out specimens of each class, the same for all; every baseline tunes itself, or "
        "learns, on training specimens of the class. Electrons are equal in each table, and the "
        "reconstruction is the built-in interpolation for all. The oracle sees the specimen. "
        "+- is half of the 95 % bootstrap interval of the mean."
    )


def _segments(found: Comparison) -> str:
    names = (*STATIC, *LOOKING, *POINTS)
    contiguous = [name for name in STATIC if name != "raster"]
    parts = (
        "**Segments** (`localised`: 96 x 96 px, 400 points, 4.34 %, no noise; points that jump come last).",
        "PSNR [dB]:",
        found.rows(names, "psnr", 2),
        "SSIM:",
        found.rows(names, "ssim", 3),
        "Greedy by learned error against the best contiguous static path of each class:",
        found.gains("greedy-learned", contiguous),
        "Greedy by the reconstructor's own error against the same:",
        found.gains("greedy", contiguous),
        "Adaptive points against the best static points:",
        found.gains("slads", POINTS[:3]),
    )
    return "\n\n".join(parts)


def _steered(found: Comparison) -> str:
    parts = (
        "**`ede-2020`** (20 segments of 20 points, directions continuous), PSNR [dB]. From the centre, by "
        "actions, but for the random walk, which is flown whole:",
        found.rows((*STATIC[2:], *LOOKING), "psnr", 2),
        found.gains("greedy-learned", STATIC[2:]),
    )
    return "\n\n".join(parts)


def _tiles(found: Comparison) -> str:
    parts = (
        "**Tiles** (`localised`: 64 x 64 px, tiles of 8 x 8, 30 % with the survey), PSNR [dB]; grid and "
        "slads are whole scans of as many electrons:",
        found.rows((*TILES, *WHOLE), "psnr", 2),
        found.gains("greedy-learned", TILES[:3]),
    )
    return "\n\n".join(parts)


def _cell(played: Played, figure: str, digits: int) -> str:
    half = float(np.ptp(played.interval(figure))) / 2
    return f"{played.mean(figure):.{digits}f} +- {half:.{digits}f}"

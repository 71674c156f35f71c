"""The part of the suite of environments that is about pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from beamwright.testing.expecting import expect
from beamwright.testing.playing import COUNT, Maker, batch_of_one, sample

__all__ = ["check_pictures"]


def check_pictures(maker: Maker) -> None:
    """Check that pictures keep their size, show something, and show what an action did.

    Parameters
    ----------
    maker
        Of the environment.

    Raises
    ------
    AssertionError
        If the environment breaks a rule.
    """
    pictures = _watched(maker)
    for picture in pictures:
        expect(
            picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3,
            f"A picture must be (H, W, 3) uint8, not {picture.shape} {picture.dtype}.",
        )
        expect(picture.shape == pictures[0].shape, "Pictures must keep their size.")
        expect(not any(side % 2 for side in picture.shape[:2]), f"Videos need even sides: {picture.shape}.")
        expect(picture.std() > 2, "A picture must not be blank.")
    expect((pictures[0] != pictures[-1]).any(), "Pictures must show what an action did.")
    batch = maker.vector("vector_entry_point", render_mode="rgb_array")
    batch.reset(seed=maker.seed)
    frames = batch.render()
    expect(len(frames) == COUNT, "A vector environment must draw one picture for each.")
    expect(np.mean(frames[0] != pictures[0]) < 0.02, "The batch must draw what the single environment does.")


def _watched(maker: Maker) -> list[Any]:
    """Return the pictures of the first steps."""
    env, rng = maker.single(render_mode="rgb_array").unwrapped, np.random.default_rng(maker.seed)
    observation, _ = env.reset(seed=maker.seed)
    pictures, ended = [env.render()], False
    while len(pictures) < 3 and not ended:
        action = sample(env.action_space, batch_of_one(observation), 1, rng)[0]
        observation, _, terminated, truncated, _ = env.step(action)
        pictures.append(env.render())
        ended = terminated or truncated
    return pictures

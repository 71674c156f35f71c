"""A window that shows pictures as they come, for ``render_mode="human"``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from beamwright.errors import MissingExtraError

__all__ = ["Window"]


class Window:
    """A pygame window of the size of the first picture.

    Parameters
    ----------
    title
        What stands above it.
    frames_per_second
        At most so many pictures are shown in a second; showing waits for that.

    Raises
    ------
    MissingExtraError
        If pygame is not installed.
    """

    def __init__(self, title: str, frames_per_second: float) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError:
            raise MissingExtraError("A window", "fly") from None
        self._pygame = pygame
        self._frames_per_second = frames_per_second
        pygame.display.init()
        pygame.display.set_caption(title)
        self._clock = pygame.time.Clock()
        self._surface: Any = None

    def show(self, picture: np.ndarray) -> None:
        """Show a picture, ``(H, W, 3)`` uint8."""
        pygame = self._pygame
        columns_first = picture.swapaxes(0, 1)  # (W, H, 3), as pygame counts
        if self._surface is None:
            self._surface = pygame.display.set_mode(columns_first.shape[:2])
        pygame.surfarray.blit_array(self._surface, columns_first)
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self._frames_per_second)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()

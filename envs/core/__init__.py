"""What all environments are made of: random streams, configuration, simulation, shells, pictures."""

from beamwright.envs.core.canvas import Box, Canvas, number
from beamwright.envs.core.charts import draw_bars, draw_gauges, draw_lines, draw_table
from beamwright.envs.core.config import EnvConfig, Frozen, Range, Split, Varied, draw, load_config
from beamwright.envs.core.environment import MicroscopeEnv
from beamwright.envs.core.pictures import ImagePanel
from beamwright.envs.core.simulation import Observation, Outcome, Simulation
from beamwright.envs.core.state import map_tensors, scatter_rows, take_rows
from beamwright.envs.core.streams import Streams
from beamwright.envs.core.vector import MicroscopeVectorEnv

__all__ = [
    "Box",
    "Canvas",
    "EnvConfig",
    "Frozen",
    "ImagePanel",
    "MicroscopeEnv",
    "MicroscopeVectorEnv",
    "Observation",
    "Outcome",
    "Range",
    "Simulation",
    "Split",
    "Streams",
    "Varied",
    "draw",
    "draw_bars",
    "draw_gauges",
    "draw_lines",
    "draw_table",
    "load_config",
    "map_tensors",
    "number",
    "scatter_rows",
    "take_rows",
]

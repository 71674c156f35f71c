"""A simulated electron microscope, and the environments in which agents learn to drive it."""

from beamwright.envs.registration import ENVIRONMENTS, register_environments

__all__ = ["ENVIRONMENTS", "register_environments"]

register_environments()

"""Conformance suites: what every space, task, environment and microscope must keep, ours and those of users.

A package that registers its own calls them in its tests::

    from beamwright.testing import check_space, check_task

    def test_my_space() -> None:
        check_space(my_space, limits=SpaceLimits(ndim=2))
"""

from beamwright.testing.environments import check_environment
from beamwright.testing.microscopes import check_microscope
from beamwright.testing.spaces import check_space
from beamwright.testing.tasks import check_task

__all__ = ["check_environment", "check_microscope", "check_space", "check_task"]

from __future__ import annotations

import pytest

from beamwright.errors import UnknownNameError
from beamwright.registry import Entry, Registry
from beamwright.search import SAMPLERS, SCHEDULERS
from beamwright.search_spaces import NETWORKS, SPACES
from beamwright.tasks import TASKS


def test_loads_what_the_name_stands_for() -> None:
    registry = Registry("thing", Entry("counter", "counts", "collections:Counter"))
    assert registry.load("counter")("aab")["a"] == 2
    assert registry.names() == ("counter",)
    assert "counter" in registry


def test_unknown_name_gets_a_proposal_and_the_known_ones() -> None:
    registry = Registry(
        "thing", Entry("counter", "", "collections:Counter"), Entry("deque", "", "collections:deque")
    )
    with pytest.raises(
        UnknownNameError, match=r'no thing "conter"\. Did you mean "counter"\? Known: counter, deque\.'
    ):
        registry.load("conter")


def test_duplicate_is_an_error() -> None:
    registry = Registry("thing", Entry("counter", "", "collections:Counter"))
    with pytest.raises(ValueError, match='The thing "counter" is already registered; choose another name'):
        registry.register(Entry("counter", "", "collections:deque"))


@pytest.mark.parametrize(
    "registry", [TASKS, SPACES, NETWORKS, SAMPLERS, SCHEDULERS], ids=lambda item: item.kind
)
def test_every_entry_loads_and_says_what_it_is(registry: Registry) -> None:
    entries = list(registry)
    assert entries
    for entry in entries:
        assert callable(entry.load())
        assert entry.summary
        assert "\n" not in entry.summary

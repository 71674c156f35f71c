"""``beamwright play``: films of baselines, and what the user gets wrong."""

from __future__ import annotations

import pytest
from PIL import Image

from beamwright.errors import ExperimentError, MicroscopeError, UnknownNameError
from beamwright.play import episodes_table, load_play, make_sheet, play


@pytest.fixture
def config():
    return load_play("TrackDrift", ["steps=3"], seed=1)


def test_a_film_and_a_contact_sheet(config, tmp_path):
    output = tmp_path / "new" / "drift.gif"
    (episode,) = play(config, output)
    with Image.open(output) as film, Image.open(output.with_suffix(".png")) as sheet:
        assert film.n_frames >= 2
        assert sheet.width == min(3, episode.steps + 1) * film.width
    assert sorted(path.name for path in output.parent.iterdir()) == ["drift.gif", "drift.png"]
    heading, row = episodes_table([episode])
    assert heading[:3] == ["episode", "steps", "return"]
    assert len(row) == len(heading)


def test_the_seed_decides_the_film(config, tmp_path):
    first, again = (play(config, tmp_path / f"{name}.gif") for name in "ab")
    other = play(config.model_copy(update={"seed": 9}), tmp_path / "c.gif")
    assert first == again != other


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mp4(config, tmp_path):
    play(config, tmp_path / "drift.mp4")
    assert (tmp_path / "drift.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_file_says_what_to_play(tmp_path):
    path = tmp_path / "play.yaml"
    path.write_text("environment: SparseScan\npreset: small\nset: {split: test}\nepisodes: 3\n")
    config = load_play(path, ["shape=[48, 48]"], episodes=2)
    assert config.environment == "beamwright/SparseScan-v0"
    assert config.set == {"split": "test", "shape": [48, 48]}
    assert (config.preset, config.episodes) == ("small", 2)


def test_the_example_is_right(repository):
    config = load_play(repository / "examples" / "play-scan.yaml")
    assert config.baseline == "greedy"


@pytest.mark.parametrize(
    ("source", "changes", "error", "text"),
    [
        ("SparseScn", {}, UnknownNameError, 'no environment "SparseScn". Did you mean "SparseScan"?'),
        ("missing.yaml", {}, ExperimentError, 'no experiment file "missing.yaml"; give an environment\'s id'),
        ("SparseScan", {"episodes": 0}, ExperimentError, "episodes: must be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_played_is_said(source, changes, error, text):
    with pytest.raises(error) as caught:
        load_play(source, **changes)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("preset=small", "set: cannot set preset, which has an option of its own, --preset"),
        ("render_mode=human", "set: cannot set render_mode, which is always rgb_array here"),
        ("microscope=1", "set: cannot set microscope, which is made in Python"),
        ("steps", '--set takes key=value, such as budget.electrons=1e5, not "steps"'),
    ],
)
def test_what_is_not_configuration_cannot_be_set(change, text):
    with pytest.raises(ExperimentError) as caught:
        load_play("TrackDrift", [change])
    assert text in str(caught.value)


def test_mistakes_are_told_before_anything_is_written(config, tmp_path):
    for change, error, text in (
        ({"preset": "no"}, MicroscopeError, 'There is no preset "no"'),
        ({"set": {"step": 3}}, MicroscopeError, 'Did you mean "steps"?'),
        ({"baseline": "randm"}, UnknownNameError, 'Did you mean "random"?'),
        ({"baseline": "greedy"}, ExperimentError, 'The baseline "greedy" plays'),
        ({"options": {"sed": 1}}, ExperimentError, 'has no option "sed". Did you mean "seed"?'),
    ):
        with pytest.raises(error) as caught:
            play(config.model_copy(update=change), tmp_path / "x.gif")
        assert text in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_films_are_not_replaced_unasked(config, tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(ExperimentError, match=r"a\.png: already there; give another --output"):
        play(config, tmp_path / "a.gif")
    with pytest.raises(ExperimentError, match=r'a film is a \.gif or \.mp4, not a "\.avi"'):
        play(config, tmp_path / "a.avi")
    play(config, tmp_path / "a.gif", overwrite=True)
    assert (tmp_path / "a.png").stat().st_size > 0


def test_the_sheet_shows_first_and_last():
    import numpy as np

    film = [np.full((4, 6, 3), value, np.uint8) for value in range(40)]
    sheet = np.asarray(make_sheet(film, count=6, columns=3))
    assert sheet.shape == (8, 18, 3)
    assert (sheet[0, 0, 0], sheet[-1, -1, 0]) == (0, 39)

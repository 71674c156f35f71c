from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler

from beamwright.tracking import RunFolder, TensorBoardLogger


def example() -> dict[str, np.ndarray | None]:
    image = np.random.default_rng(0).normal(10, 3, (48, 48)).astype(np.float32)
    return {"input": image, "output": image / 2, "target": None}


def read(path) -> EventAccumulator:
    events = EventAccumulator(str(path), size_guidance={"tensors": 0, "scalars": 0, "images": 0})
    return events.Reload()


def test_curves_go_to_their_groups(tmp_path):
    with TensorBoardLogger(tmp_path) as logger:
        for epoch in (1, 2):
            logger.epoch(
                {
                    "epoch": epoch,
                    "train_loss": 0.1,
                    "learning_rate": 1e-3,
                    "psnr": 20.0 + epoch,
                    "note": "text",
                }
            )
    events = read(tmp_path)
    assert set(events.Tags()["scalars"]) == {"train/loss", "train/learning_rate", "validation/psnr"}
    assert [(point.step, point.value) for point in events.Scalars("validation/psnr")] == [
        (1, 21.0),
        (2, 22.0),
    ]


def test_images_are_labelled_panels(tmp_path):
    with TensorBoardLogger(tmp_path) as logger:
        logger.images([example(), example()], epoch=4, pixel_size=0.1)
    events = read(tmp_path)
    assert events.Tags()["images"] == ["images/0", "images/1"]
    (event,) = events.Images("images/0")
    assert event.step == 4
    assert Image.open(io.BytesIO(event.encoded_image_string)).size == (
        2 * (48 + 6) + 6,
        2 * (48 + 22 + 6) + 6,
    )


def test_a_trial_that_goes_on_repeats_no_epoch(tmp_path):
    with TensorBoardLogger(tmp_path) as logger:
        for epoch in (1, 2, 3):
            logger.epoch({"epoch": epoch, "psnr": 1.0})
    with TensorBoardLogger(tmp_path, resumed=2) as logger:
        logger.epoch({"epoch": 3, "psnr": 30.0})
    points = read(tmp_path).Scalars("validation/psnr")
    assert [(point.step, point.value) for point in points] == [(1, 1.0), (2, 1.0), (3, 30.0)]


@pytest.fixture
def logged(make_run) -> RunFolder:
    run = make_run(states=("finished", "stopped", "failed", "finished", "finished", "finished"))
    for trial in run.trials():
        record = trial.record
        with TensorBoardLogger(trial.path) as logger:
            logger.parameters(record.parameters, network=record.name)
            for point in trial.metrics():
                logger.epoch(point)
            logger.result(record.deployed or {}, state=record.state, epoch=record.epochs)
    return run


def hparams_page(run: RunFolder) -> tuple[api_pb2.Experiment, list[api_pb2.SessionGroup]]:
    """What TensorBoard's own server answers to its HParams page."""
    multiplexer = EventMultiplexer({trial.path.name: str(trial.path) for trial in run.trials()}).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(run.trials_path))
    context, request = Context(TBContext(data_provider=provider)), RequestContext()
    metadata = context.hparams_metadata(request, "")
    hyperparameters = context.hparams_from_data_provider(request, "", None)
    experiment = context.experiment_from_metadata(
        request,
        "",
        include_metrics=True,
        hparams_run_to_tag_to_content=metadata,
        data_provider_hparams=hyperparameters,
    )
    columns = [api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos]
    question = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        col_params=columns,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE],
        include_metrics=True,
    )
    answer = Handler(request, context, "", question).run()
    return experiment, list(answer.session_groups)


def test_the_hparams_page_compares_all_trials(logged: RunFolder):
    experiment, groups = hparams_page(logged)
    assert len(groups) == len(logged.trials())
    every = {name for record in logged.records() for name in record.parameters}
    assert "momentum" in every  # conditional: some trials do not have it
    assert {info.name for info in experiment.hparam_infos} == {*every, "network"}
    assert {"deployed/psnr", "validation/psnr", "train/loss"} <= {
        info.name.tag for info in experiment.metric_infos
    }


def test_the_hparams_page_shows_the_deployed_figures(logged: RunFolder):
    _, groups = hparams_page(logged)
    shown = {
        group.sessions[0].name: {value.name.tag: value.value for value in group.sessions[0].metric_values}
        for group in groups
    }
    for record in logged.records():
        metrics = shown[f"{record.number:04d}"]
        if record.deployed:
            assert metrics["deployed/psnr"] == pytest.approx(record.deployed["psnr"])
        else:
            assert "deployed/psnr" not in metrics


def test_the_hparams_page_tells_failures(logged: RunFolder):
    _, groups = hparams_page(logged)
    status = {group.sessions[0].name: group.sessions[0].status for group in groups}
    assert status["0000"] == status["0001"] == api_pb2.STATUS_SUCCESS
    assert status["0002"] == api_pb2.STATUS_FAILURE

"""The training of one candidate, epoch by epoch."""

from __future__ import annotations

import copy
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from beamwright.errors import RunError
from beamwright.experiment import TrainingConfig
from beamwright.search_spaces import Architecture, Candidate, build, estimate_cost
from beamwright.search_spaces.builder import Network
from beamwright.tasks import Batch, Task, TaskData
from beamwright.training.checkpoint import read_checkpoint, write_checkpoint
from beamwright.training.deployable import Deployable
from beamwright.training.device import amp_dtype, conv_layout, resolve_device, seeded
from beamwright.training.divergence import DivergedError, check_losses, check_quality
from beamwright.training.feeding import feed
from beamwright.training.optim import WeightAverage, make_optimizer, make_schedule
from beamwright.training.predicting import run_module

__all__ = ["DivergedError", "Trainer"]

LOOK_EVERY = 25
"""Steps between looks at the loss: each look makes a GPU wait."""
WHOLE_IMAGE_MEMORY = 2**30
"""Images that need more for their activations are predicted by tiles [bytes]."""


class Trainer:
    """Trains one candidate; between epochs it can be saved, restored, evaluated and deployed.

    The driver of a trial calls `run_epoch` until its budget is spent, `save` in between, and `deployable`
    at the end. Everything random follows from the seed and the step, so a restored trainer goes on as if
    it had never stopped, on a CPU bit by bit.

    Parameters
    ----------
    candidate
        Network and recipe.
    task, data
        Where batches, loss and metrics come from.
    config
        The budget.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    seed
        Of weights, batches and dropout.
    threads
        Of the CPU.

    Attributes
    ----------
    epoch
        Finished epochs.
    best
        Epoch and metrics of the best epoch by the task's quality, or None.
    """

    def __init__(
        self,
        candidate: Candidate,
        task: Task,
        data: TaskData,
        *,
        config: TrainingConfig,
        device: str = "auto",
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        torch.set_num_threads(threads)
        self.candidate, self.recipe = candidate, candidate.recipe
        self.task, self.data, self.config, self.seed = task, data, config, seed
        self.device = resolve_device(device)
        self.amp = amp_dtype(config.precision, self.device)
        self.layout = conv_layout(candidate.architecture.ndim)
        self.sampler = task.sampler(data, self.recipe, seed=seed)
        self.network = self._build()
        self.optimizer = make_optimizer(self.recipe, self.network.parameters())
        self.rate = make_schedule(self.recipe, config.epochs * config.steps_per_epoch)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.amp is torch.float16)
        self.judged = copy.deepcopy(self.network) if self.recipe.ema else self.network
        self.average = WeightAverage(self.network, self.judged, self.recipe.ema) if self.recipe.ema else None
        self.epoch = 0
        self.best: dict[str, float] | None = None
        self._best_weights: dict[str, torch.Tensor] | None = None

    def run_epoch(self) -> dict[str, float]:
        """Train an epoch and measure it on the validation split.

        Returns
        -------
        metrics
            ``train_loss``, ``learning_rate``, ``grad_norm``, ``seconds``, ``pixels_per_second`` (of
            training), and the task's metrics by name.

        Raises
        ------
        DivergedError
            If the loss or the quality is not finite.
        """
        start = time.perf_counter()
        loss, norm = self._train()
        trained = time.perf_counter()
        pixels = int(self.config.validation_pixels * 1e6)
        scores = self.task.evaluate(self.predict, self.data, "validation", max_pixels=pixels).metrics
        self.epoch += 1
        self._keep_best(scores)
        seen = self.config.steps_per_epoch * self.recipe.batch_size * self.recipe.patch_size**2
        return {
            "train_loss": loss,
            "learning_rate": self.rate(self.epoch * self.config.steps_per_epoch - 1),
            "grad_norm": norm,
            "seconds": time.perf_counter() - start,
            "pixels_per_second": seen / (trained - start),
            **scores,
        }

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Run the network as it is now (its average, if there is one) on an image [counts].

        Parameters
        ----------
        image
            ``(H, W)``, or ``(C, H, W)`` for several channels.
        """
        module = Deployable.of(self.judged, self.data).to(self.device)
        pixels = WHOLE_IMAGE_MEMORY / estimate_cost(self.candidate).inference_bytes_per_pixel
        return run_module(module, image, pixels=pixels, layout=self.layout)

    def deployable(self, *, best: bool = True) -> Deployable:
        """Return a copy on the CPU that takes and gives counts, of the best epoch or of the last."""
        network = copy.deepcopy(self.judged).cpu()
        network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        if best and self._best_weights is not None:
            network.load_state_dict(self._best_weights)
        return Deployable.of(network, self.data)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that `load_state_dict` needs, as tensors and plain values."""
        return {
            "architecture": self.candidate.architecture.to_dict(),
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": self.judged.state_dict() if self.average else None,
            "optimizer": {"name": self.recipe.optimizer, **self.optimizer.state_dict()},
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "best_weights": self._best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; the recipe stays this trainer's own, as population-based training needs it.

        Raises
        ------
        RunError
            If the state is of another architecture.
        """
        if Architecture.from_dict(state["architecture"]) != self.candidate.architecture:
            raise RunError(
                "A checkpoint goes on with the architecture it was made with, and this one has another; "
                "start the trial in an empty folder."
            )
        self.epoch, self.best, self._best_weights = state["epoch"], state["best"], state["best_weights"]
        self.network.load_state_dict(state["network"])
        if self.average:
            self.judged.load_state_dict(state["average"] or state["network"])
        self.scaler.load_state_dict(state["scaler"])
        self._load_moments(state["optimizer"])

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        write_checkpoint(path, self.state_dict())

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        RunError
            If it is damaged, or of another architecture.
        """
        self.load_state_dict(read_checkpoint(path))

    def _build(self) -> Network:
        recipe = self.recipe
        with seeded(self.device, self.seed):
            network = build(
                self.candidate.architecture, dropout=recipe.dropout, initialiser=recipe.initialiser
            )
        return network.to(self.device, memory_format=self.layout)  # type: ignore[call-overload]

    def _train(self) -> tuple[float, float]:
        """Run the steps of an epoch; return the mean loss and the mean norm of the gradient."""
        self.network.train()
        count = self.config.steps_per_epoch
        steps = range(self.epoch * count, (self.epoch + 1) * count)
        losses: list[torch.Tensor] = []
        norms: list[torch.Tensor] = []
        with seeded(self.device, self.seed, self.epoch):
            for step, batch in zip(steps, feed(self.sampler, steps, self.device), strict=True):
                loss, norm = self._step(step, batch)
                losses.append(loss)
                norms.append(norm)
                if len(losses) % LOOK_EVERY == 0 or len(losses) == count:
                    check_losses(losses, self.recipe, epoch=self.epoch + 1, first=steps.start)
        return float(torch.stack(losses).mean()), float(torch.stack(norms).mean())

    def _step(self, step: int, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = batch["input"].contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, self.amp, enabled=self.amp is not None):
            output = self.network(inputs)
        loss = self.task.loss(output, batch, self.recipe)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(
            self.network.parameters(), self.recipe.grad_clip or math.inf, foreach=True
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(step)
        return loss.detach(), norm.detach()

    def _keep_best(self, scores: dict[str, float]) -> None:
        quality = self.task.quality
        value = scores[quality.name]
        check_quality(quality.name, value, self.recipe, epoch=self.epoch)
        if self.best is None or quality.better(value, self.best[quality.name]):
            self.best = {"epoch": self.epoch, **scores}
            weights = self.judged.state_dict()
            self._best_weights = {name: weight.detach().cpu().clone() for name, weight in weights.items()}

    def _load_moments(self, saved: dict[str, Any]) -> None:
        """Take over the moments, unless another optimiser made them; never the hyperparameters."""
        if saved["name"] != self.recipe.optimizer:
            return
        own = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": saved["state"], "param_groups": own})

"""The space of denoisers: image in, image out, at sizes that train on a CPU."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from beamwright.errors import SpaceError
from beamwright.search_spaces.architecture import Architecture, Stage
from beamwright.search_spaces.networks import NETWORKS, default_recipe, named
from beamwright.search_spaces.parameters import Choice, Parameter, Range, Suggestions, check_fixed
from beamwright.search_spaces.portfolio import denoise_portfolio
from beamwright.search_spaces.recipe import Recipe
from beamwright.search_spaces.space import Candidate, SpaceLimits, Value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["DenoiseSpace", "denoise_space"]

_WITH_KERNEL = ("separable", "convnext")


def denoise_space(limits: SpaceLimits) -> DenoiseSpace:
    """Return the space of denoisers within the limits.

    Raises
    ------
    SpaceError
        If a fixed parameter does not exist or its value is outside the range.
    """
    return DenoiseSpace(limits)


class DenoiseSpace:
    """Encoder-decoders and flat networks, with their recipes; see `space.Space` for the protocol."""

    def __init__(self, limits: SpaceLimits) -> None:
        self.limits = limits
        self.table = self._table(limits)
        check_fixed(limits.fixed, self.table)

    def __call__(self, trial: BaseTrial) -> Candidate:
        """Suggest the parameters of a candidate and return it."""
        return self._candidate(Suggestions(self.table, self.limits.fixed, trial=trial))

    def parameters(self, candidate: Candidate) -> dict[str, Value]:
        """Return the suggestions that lead to the candidate.

        Raises
        ------
        SpaceError
            If the candidate is no point of the space.
        """
        given = _describe(candidate, self.table)
        suggestions = Suggestions(self.table, self.limits.fixed, given=given)
        found = self._candidate(suggestions)
        if wrong := _difference(found, candidate):
            raise SpaceError(
                f"The candidate is no point of the space: {wrong}. Project it, or widen the limits."
            )
        return suggestions.used

    def project(self, candidate: Candidate) -> Candidate:
        """Return the candidate with the fixed parameters at their values; it keeps its name."""
        given = _describe(candidate, self.table)
        projected = self._candidate(Suggestions(self.table, self.limits.fixed, given=given))
        return projected.model_copy(update={"name": candidate.name})

    def portfolio(self) -> tuple[Candidate, ...]:
        """Return known-good candidates, the textbook U-Net first; twins that projection made appear once."""
        projected = (self.project(candidate) for candidate in self._known_good(self.limits))
        unique = {
            (candidate.architecture, candidate.recipe): candidate for candidate in reversed(list(projected))
        }
        return tuple(reversed(unique.values()))

    def _table(self, limits: SpaceLimits) -> dict[str, Parameter]:
        return _architecture_table(limits) | _recipe_table(limits)

    def _known_good(self, limits: SpaceLimits) -> tuple[Candidate, ...]:
        return denoise_portfolio(limits)

    def _candidate(self, suggest: Suggestions) -> Candidate:
        architecture = _suggest_architecture(suggest, self.limits)
        recipe = _suggest_recipe(suggest)
        return Candidate(architecture=architecture, recipe=recipe, name=self._names.get(architecture))

    @cached_property
    def _names(self) -> dict[Architecture, str]:
        """The named networks; what a trial finds again gets its name."""
        return {named(name, limits=self.limits).architecture: name for name in NETWORKS.names()}


def _architecture_table(limits: SpaceLimits) -> dict[str, Parameter]:
    # The smallest patch must leave two pixels at the deepest level.
    levels = max(min(limits.max_levels, min(limits.patch_sizes).bit_length() - 2), 1)
    non_local = not limits.local_only
    return {
        "block": Choice(("plain", "residual", "bottleneck", "dense", "inception", "separable", "convnext")),
        "kernel": Choice((3, 5, 7)),
        "levels": Range(1, levels, default=min(3, levels)),
        "width": Range(8, 48, default=16, step=8),
        "growth": Choice((2.0, 1.5, 1.0)),
        "depth": Range(1, 3, default=2),
        "flat_depth": Range(3, 10, default=6),
        "stem": Choice(("full", "half")),
        "skips": Choice(("concatenate", "none", "indices", "add", "nested")),
        "downsample": Choice(("max", "average", "stride")),
        "upsample": Choice(("nearest", "linear", "transpose", "subpixel")),
        "decoder_depth": Range(0, 2, default=1),
        "dilation": Choice((1, 2, 4)),
        "bottleneck": Choice(("none", "aspp", *(("aspp_global", "attention") if non_local else ()))),
        "norm": Choice(("none", "batch", "layer", *(("instance", "group") if non_local else ()))),
        "activation": Choice(("relu", "leaky_relu", "elu", "gelu", "silu")),
        "residual": Choice((True, False)),
    }


def _suggest_architecture(suggest: Suggestions, limits: SpaceLimits) -> Architecture:
    deep = suggest("levels") > 1
    fields: dict[str, Any] = (
        {"skips": suggest("skips"), "decoder_depth": suggest("decoder_depth")} if deep else {}
    )
    stages = _suggest_stages(suggest, skips=fields.setdefault("skips", "none"))
    if stages[0].downsample != "none" or (deep and fields["skips"] != "indices"):
        fields["upsample"] = suggest("upsample")
    if limits.prefill or limits.in_channels == limits.out_channels:
        fields["residual"] = suggest("residual")
    return Architecture(
        stages=stages,
        ndim=limits.ndim,
        in_channels=limits.in_channels,
        out_channels=limits.out_channels,
        prefill=limits.prefill,
        bottleneck=suggest("bottleneck"),
        norm=suggest("norm"),
        activation=suggest("activation"),
        **fields,
    )


def _suggest_stages(suggest: Suggestions, *, skips: str) -> tuple[Stage, ...]:
    levels, block, width = suggest("levels"), suggest("block"), suggest("width")
    deep = levels > 1
    growth = suggest("growth") if deep else 1.0
    depth = suggest("depth" if deep else "flat_depth")
    downsample = "none" if not deep else "max" if skips == "indices" else suggest("downsample")
    dilation = suggest("dilation") if deep else 1
    stem = "stride" if suggest("stem") == "half" else "none"
    kernel = suggest("kernel") if block in _WITH_KERNEL else 3
    return tuple(
        Stage(
            block=block,
            width=_width(width, growth, level),
            depth=depth,
            downsample=downsample if level else stem,
            dilation=dilation if level == levels - 1 else 1,
            kernel=kernel,
        )
        for level in range(levels)
    )


def _width(width: int, growth: float, level: int) -> int:
    return round(width * growth**level / 8) * 8  # vector units like multiples of eight


def _recipe_table(limits: SpaceLimits) -> dict[str, Parameter]:
    default = default_recipe(limits)
    return {
        "optimizer": Choice(("adam", "adamw", "radam", "nadam", "sgd")),
        "learning_rate": Range(3e-4, 1e-2, default=default.learning_rate, log=True),
        "sgd_learning_rate": Range(1e-3, 1e-1, default=1e-2, log=True),
        "momentum": Range(0.8, 0.99, default=0.9),
        "weight_decay": Range(1e-6, 1e-1, default=1e-2, log=True),
        "schedule": Choice(("cosine", "constant", "step", "one_cycle")),
        "warmup": Choice((0.0, 0.05, 0.1)),
        "grad_clip": Choice((0.0, 1.0, 0.1)),
        "dropout": Choice((0.0, 0.1, 0.2)),
        "initialiser": Choice(("he", "xavier", "orthogonal")),
        "ema": Choice((0.0, 0.99, 0.999)),
        "loss": Choice(_first(default.loss, limits.losses)),
        "batch_size": Choice((16, 8, 4)),
        "patch_size": Choice(_first(default.patch_size, limits.patch_sizes)),
        "augment_dihedral": Choice((True, False)),
        "augment_intensity": Choice((0.0, 0.1, 0.2)),
        "augment_noise": Choice((0.0, 0.05, 0.1)),
    }


def _first(default: Value, values: tuple[Any, ...]) -> tuple[Value, ...]:
    return (default, *(value for value in values if value != default))


def _suggest_recipe(suggest: Suggestions) -> Recipe:
    names = ["schedule", "grad_clip", "dropout", "initialiser", "ema", "loss", "batch_size", "patch_size"]
    names += ["augment_dihedral", "augment_intensity", "augment_noise"]
    fields = {name: suggest(name) for name in names}
    optimizer = suggest("optimizer")
    fields["learning_rate"] = suggest("sgd_learning_rate" if optimizer == "sgd" else "learning_rate")
    if optimizer == "sgd":
        fields["momentum"] = suggest("momentum")
    if optimizer in ("sgd", "adamw"):  # in the others decay is only a penalty that their scaling distorts
        fields["weight_decay"] = suggest("weight_decay")
    if fields["schedule"] != "one_cycle":
        fields["warmup"] = suggest("warmup")
    return Recipe(optimizer=optimizer, **fields)


def _describe(candidate: Candidate, table: dict[str, Parameter]) -> dict[str, Value]:
    """Return the values of all parameters, also of those that the space would not ask for."""
    architecture, recipe = candidate.architecture, candidate.recipe
    first, last = architecture.stages[0], architecture.stages[-1]
    known = {**dict(recipe), **dict(architecture), **dict(last)}
    values = known | {
        "levels": len(architecture.stages),
        "width": first.width,
        "growth": _growth(architecture),
        "flat_depth": first.depth,
        "stem": "full" if first.downsample == "none" else "half",
        "sgd_learning_rate": recipe.learning_rate,
    }
    # A projection may ask for what a network without these has no sensible value of.
    unused = {"downsample", "depth"} if len(architecture.stages) == 1 else {"flat_depth"}
    return {
        name: value
        for name, value in values.items()
        if name in table.keys() - unused and value in table[name]
    }


def _growth(architecture: Architecture) -> float:
    widths = [stage.width for stage in architecture.stages]
    fits = [
        g for g in (2.0, 1.5, 1.0) if widths == [_width(widths[0], g, level) for level in range(len(widths))]
    ]
    return fits[0] if fits else 0.0


def _difference(found: Candidate, wanted: Candidate) -> str:
    """Name the first field in which two candidates differ."""
    for record in ("architecture", "recipe"):
        ours, theirs = dict(getattr(found, record)), dict(getattr(wanted, record))
        for field, value in theirs.items():
            if ours[field] != value:
                return f"{field} = {value!r} would come back as {ours[field]!r}"
    return ""

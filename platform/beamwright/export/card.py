"""The model card of a bundle: what a microscopist must know before trusting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beamwright.runtime.images import takes_dose

__all__ = ["model_card"]


def model_card(metadata: Mapping[str, Any]) -> str:
    """Return the README of a bundle, from what ``beamwright.json`` says."""
    sections = (_head, _figures, _training, _limits, _use, _validation, _reproduction)
    return "\n\n".join(section(metadata).strip() for section in sections) + "\n"


def _head(data: Mapping[str, Any]) -> str:
    architecture = data["candidate"]["architecture"]
    name = data["candidate"]["name"] or "network found by search"
    halo = "the whole image" if data["halo"] is None else f"{data['halo']} pixels around each pixel"
    return f"""
# {data["name"]}

![input and output](cover.png)

A model for the task *{data["task"]}*, made on {data["created"][:10]} by beamwright: {name},
{data["parameters"]:,} weights in {len(architecture["stages"])} stages, sees {halo}.
{_channels(data)}

Authors: {", ".join(data["authors"])}. Licence: {data["licence"]}.
"""


def _channels(data: Mapping[str, Any]) -> str:
    source, result = data["inputs"][0], data["outputs"][0]
    if source["channels"] == result["channels"] == 1:
        return (
            "It takes raw counts and gives images of the same size and in the same units; do not normalise "
            "before or after."
        )
    rows = [
        f"| {side} | `{name}` | {unit} | {meaning} |"
        for side, tensor in (("input", source), ("output", result))
        for name, unit, meaning in zip(
            tensor["channel_names"], tensor["units"], tensor["meanings"], strict=True
        )
    ]
    head = ["Its channels, all of one size; do not normalise before or after:", ""]
    return "\n".join([*head, "| | channel | unit | what it is |", "|---|---|---|---|", *rows])


def _figures(data: Mapping[str, Any]) -> str:
    quality, unit = data["quality"]["name"], data["quality"]["unit"]
    role = "test" if "test" in data["metrics"] else "validation"
    own = data["metrics"].get(role)
    if not own:
        return "## Figures\n\nNothing was measured. Compare with a Gaussian filter before you trust it."
    rows = [(f"**{data['name']}**", own, data["interval"] if role == "test" else None)]
    rows += [(row["name"] + _parameters(row), *_row(row, role)) for row in data["baselines"]]
    names = [quality, *sorted(set(own) - {quality})]
    lines = [
        f"| | {quality} [{unit}] | 95 % interval | " + " | ".join(names[1:]) + " |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for label, values, interval in rows:
        cells = [_number(values.get(name)) for name in names]
        span = "" if interval is None else f"{_number(interval[0])} to {_number(interval[1])}"
        lines.append("| " + " | ".join([label, cells[0], span, *cells[1:]]) + " |")
    split = (
        "images set aside and looked at once" if role == "test" else "images that the search was steered by"
    )
    how = "through this ONNX file" if data["deployed"] else "in the training loop, not through this ONNX file"
    return (
        f"## Figures\n\nMeasured on the {role} split ({split}), {how}. A network that does "
        "not beat the classical rows should not be used.\n\n" + "\n".join(lines)
    )


def _row(row: Mapping[str, Any], role: str) -> tuple[Mapping[str, float], Any]:
    if role == "test":
        measured = row.get("test") or {}
        return measured.get("metrics", {}), measured.get("interval")
    return row["metrics"], None


def _parameters(row: Mapping[str, Any]) -> str:
    values = ", ".join(f"{key} {_number(value)}" for key, value in (row.get("parameters") or {}).items())
    return f" ({values})" if values else ""


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def _training(data: Mapping[str, Any]) -> str:
    trained_on = data["trained_on"] or "The training data are described in the experiment file below."
    noise = f"\n\nNoise: {data['noise']}" if data["noise"] else ""
    return (
        f"## Trained on\n\n{trained_on}{noise}\n\nFiles with their SHA-256 in `beamwright.json`: "
        f"{len(data['provenance'])}."
    )


def _limits(data: Mapping[str, Any]) -> str:
    sizes, counts, scale = data["pixel_size_range"], data["intensity_range"], data["normalisation"]
    size = "was not recorded" if sizes is None else f"{_span(sizes)} nm"
    count = "was not recorded" if counts is None else f"{_span(counts)} counts"
    typical = "" if scale is None else f" (typically {scale['mean']:.4g} ± {scale['std']:.4g})"
    return f"""
## Limits

* Pixel size in training: {size}. Features of another size in pixels may be smoothed away or invented.
* Intensity in training: {count}{typical}. Other cameras, gains or doses need another model.
* Noise unlike that of the training images is not removed reliably.
* What a network shows is an estimate: measure on the raw image what a conclusion hangs on.

`beamwright predict` warns where an image is outside these ranges.
"""


def _span(values: list[float]) -> str:
    return f"{values[0]:.4g}" if values[0] == values[1] else f"{values[0]:.4g} to {values[1]:.4g}"


def _use(data: Mapping[str, Any]) -> str:
    axes = ", ".join(data["inputs"][0]["axes"][2:])
    several = data["inputs"][0]["channels"] > 1
    batch, first = ("image[None]", "[0]") if several else ("image[None, None]", "[0, 0]")
    names = f"{', '.join(data['inputs'][0]['channel_names'])}; " if several else ""
    return f"""
## How to use it

On files of any size, with pixel sizes kept and stacks read frame by frame:

    {_command(data)}

In Python, with numpy and onnxruntime only:

```python
from beamwright.runtime import load_bundle

bundle = load_bundle("BUNDLE")
result = bundle.predict(image)  # {names}({"channel, " if several else ""}{axes}), any dtype, raw counts
```

Without beamwright, for images that fit into memory:

```python
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
result = session.run(None, {{"input": {batch}.astype(np.float32)}})[0]{first}
```
"""


def _command(data: Mapping[str, Any]) -> str:
    if takes_dose(data):
        return "beamwright predict BUNDLE value.mrc --dose dose.mrc -o complete.mrc"
    result = "denoised" if data["task"] == "denoise" else "result"
    return f"beamwright predict BUNDLE image.mrc -o {result}.mrc"


def _own_data(data: Mapping[str, Any]) -> str:
    if takes_dose(data):
        return (
            "take a full scan of a specimen of your kind, keep the pixels of a path only, and compare\n"
            "what the model makes of them with the scan; do not believe it where it predicts large errors."
        )
    return (
        "take two frames of one field, run one through the model and compare it with the other\n"
        "(Fourier ring correlation, or the squared difference less the noise variance); look at the\n"
        "difference of input and output, which must show noise and no structure."
    )


def _validation(data: Mapping[str, Any]) -> str:
    verdict, agreement = data.get("bioimageio"), f"{data['parity']:.1e} of the output's range"
    checked = (
        f"\n* bioimageio.core {verdict['version']} `test_model`: {verdict['status']}." if verdict else ""
    )
    return f"""
## Validation

* torch and onnxruntime agree to {agreement} (ONNX operator set {data["opset"]}).{checked}
* `test_input.npy` gives `test_output.npy`: `load_bundle("BUNDLE").check()` runs it on your machine.

On your own data: {_own_data(data)}
"""


def _reproduction(data: Mapping[str, Any]) -> str:
    command = data["command"] or "beamwright run experiment.yaml"
    versions = ", ".join(f"{name} {number}" for name, number in data["versions"].items())
    experiment = "\n".join("    " + line for line in data["experiment"].splitlines())
    resolved = f"\n\nThe resolved experiment:\n\n{experiment}" if experiment else ""
    return f"""
## How to reproduce it

    {command}

Seed {data["seed"]}; {versions}.{resolved}
"""

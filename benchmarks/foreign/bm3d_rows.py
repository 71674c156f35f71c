"""BM3D, tuned on images whose truth is given; runs in the benchmarks' own venv.

``python bm3d_rows.py IN.npz OUT.npz``: looks for the best noise level on ``tune`` against ``truth``, both
``(N, H, W)``, and denoises ``predict``. ``anscombe`` does so between Anscombe's transform, which makes
Poisson noise Gaussian of unit variance, and its closed-form unbiased inverse. Where a sample of the noise is
given, ``noise`` ``(H, W)``, ``spectrum`` knows its correlation and tunes its strength.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bm3d import bm3d
from scipy.optimize import minimize_scalar

# bm4d, which bm3d calls for correlated noise, still asks for a name that NumPy 2.4 has no longer.
np.trapz = np.trapezoid  # type: ignore[attr-defined]  # noqa: NPY201

Image = np.ndarray
Denoiser = Callable[[Image, float], Image]


def plain(image: Image, sigma: float) -> Image:
    return bm3d(image, sigma)


def anscombe(image: Image, sigma: float) -> Image:
    """Denoise the stabilised image; M. Makitalo and A. Foi, IEEE TIP 20 (2011) 2697, for the inverse."""
    stabilised = bm3d(2 * np.sqrt(np.maximum(image, 0) + 3 / 8), sigma)
    z = np.maximum(stabilised, 1.2)
    return (z / 2) ** 2 + 0.25 * np.sqrt(1.5) / z - 11 / 8 / z**2 + 5 / 8 * np.sqrt(1.5) / z**3 - 1 / 8


def with_spectrum(noise: Image, reach: int = 5) -> Denoiser:
    """Return BM3D for noise of this sample's autocovariance, cut off beyond `reach` pixels."""
    centred = noise - noise.mean()
    full = np.fft.irfft2(np.abs(np.fft.rfft2(centred)) ** 2, centred.shape) / centred.size
    span = np.arange(-reach, reach + 1)
    covariance = full[np.ix_(span, span)] / full[0, 0]

    def denoise(image: Image, sigma: float) -> Image:
        kernel = np.zeros(image.shape)
        kernel[np.ix_(span, span)] = covariance
        spectrum = np.maximum(np.fft.fft2(kernel).real, 1e-3)
        return bm3d(image, sigma**2 * spectrum * image.size)

    return denoise


def tuned(denoise: Denoiser, tune: Image, truth: Image, start: float) -> float:
    """Return the level with the smallest squared error; half an octave around the noise in each direction."""

    def error(logarithm: float) -> float:
        outputs = np.stack([denoise(image, float(np.exp(logarithm))) for image in tune])
        return float(np.mean((outputs - truth) ** 2))

    low, high = np.log(start * 0.5), np.log(start * 4)
    return float(
        np.exp(minimize_scalar(error, bounds=(low, high), method="bounded", options={"maxiter": 10}).x)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--sigma", type=float, required=True, help="of the noise, where the search starts")
    parser.add_argument("--poisson", action="store_true", help="the images are counted electrons")
    options = parser.parse_args()
    given = np.load(options.input)
    rows: dict[str, tuple[Denoiser, float]] = {"bm3d": (plain, options.sigma)}
    if options.poisson:
        rows["anscombe"] = (anscombe, 1.0)
    if "noise" in given:
        rows["spectrum"] = (with_spectrum(given["noise"]), options.sigma)
    found = {}
    for name, (denoise, start) in rows.items():
        sigma = tuned(denoise, given["tune"], given["truth"], start)
        found[name] = np.stack([denoise(image, sigma) for image in given["predict"]]).astype(np.float32)
        found[f"sigma_{name}"] = np.array(sigma)
    np.savez(options.output, **found)


if __name__ == "__main__":
    main()

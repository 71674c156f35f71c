"""topaz' shipped denoisers; runs in the benchmarks' own venv.

``python topaz_denoise.py IN.npz OUT.npz``: denoises ``predict`` ``(M, H, W)`` by each model named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import stand_in

stand_in.install()

import torch  # noqa: E402
from topaz.denoise import Denoise, denoise_image  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--models", nargs="+", default=["unet-small", "unet"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.load(options.input)["predict"].astype(np.float32)
    found = {}
    for name in options.models:
        model = Denoise(name, use_cuda=False)
        # The command line's defaults: patches of 1024 px with 500 px of padding.
        results = [denoise_image(image, [model], patch_size=1024, padding=500) for image in images]
        found[name] = np.stack(results).astype(np.float32)
    np.savez(options.output, **found)


if __name__ == "__main__":
    main()

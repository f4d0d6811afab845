"""What can be measured in a picture without knowing what is on it."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from agegender.data.cache import Pixels

CHUNK = 256
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
MEASURES = ["brightness", "contrast", "sharpness", "colour"]
COLOURLESS = 4.0  # mean spread of the channels, of 255, below which a picture counts as grey


def measure(pixels: Pixels, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Measures of pictures.

    Args:
        pixels: (N, C, H, W) uint8, grey or RGB.
        rows: which of them, (M,).

    Returns:
        M rows of float32: brightness (mean luma, 0 to 255), contrast (its standard deviation),
        sharpness (variance of the Laplacian; Pech-Pacheco et al. 2000) and colour (mean
        difference between the largest and the smallest channel, 0 to 255; 0 for grey input).
    """
    found = np.empty((len(rows), 4), dtype=np.float32)
    for start in tqdm(range(0, len(rows), CHUNK), desc="measuring pictures", unit="chunk"):
        found[start : start + CHUNK] = measures(pixels[rows[start : start + CHUNK]])
    return pd.DataFrame(found, columns=MEASURES)


def measures(chunk: Pixels) -> npt.NDArray[np.float32]:
    """(N, C, H, W) uint8 -> (N, 4): brightness, contrast, sharpness, colour; see `measure`."""
    if chunk.shape[1] == 3:
        luma = np.einsum("nchw,c->nhw", chunk, LUMA, dtype=np.float32, casting="unsafe")
        colour = (chunk.max(axis=1) - chunk.min(axis=1)).mean(axis=(1, 2))
    else:
        luma, colour = chunk[:, 0].astype(np.float32), np.zeros(len(chunk))
    inner = luma[:, 1:-1, 1:-1]
    laplacian = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] - 4 * inner
    laplacian += luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    found = (luma.mean((1, 2)), luma.std((1, 2)), laplacian.var((1, 2)), colour)
    return np.stack(found, axis=1).astype(np.float32)

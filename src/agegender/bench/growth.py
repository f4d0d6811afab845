"""What everything beside training costs as a data set grows: where it bends is where it breaks."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from agegender.bench.rounds import tell
from agegender.data.cache import open_pixels
from agegender.data.copies import SIDE, near_copies
from agegender.data.datamodule import FaceData
from agegender.data.files import in_turn
from agegender.data.table import read_table
from agegender.metrics import FaceMetrics
from agegender.types import Batch, Outputs
from agegender.usage import peak_of_all_mb

BATCH = 256  # faces, of the metrics' updates


def growth(data: FaceData, repeats: int) -> pd.DataFrame:
    """Seconds of the data path's steps, for parts of a data set of growing size.

    Args:
        data: after its `setup`.
        repeats: of each measurement; the shortest counts.

    Returns:
        A row a step and a size: what, faces, seconds, peak_rss_mb (of this process so far).
    """
    faces = data.faces
    total = len(faces.frame)
    with in_turn(data.cache_dir):
        grey = open_pixels(faces, data.cache_dir, 1, SIDE)[:, 0]
    rng = np.random.default_rng(0)
    rows = []
    for n in (total // 8, total // 4, total // 2, total):
        some = np.sort(rng.choice(total, n, replace=False))
        rows.append(_row("near copies", n, repeats, lambda some=some: near_copies(grey[some])))  # type: ignore[misc]
    for n in (total, 10 * total, 40 * total):
        rows.append(_row("metrics of an epoch", n, repeats, lambda n=n: _metrics(n)))  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        rows.append(_row("table", total, 1, lambda: read_table(faces.folder, Path(folder))))
    return pd.DataFrame(rows)


def _metrics(n: int) -> None:
    metrics = FaceMetrics()
    age = torch.rand(BATCH) * 80
    batch = Batch(age, age, (age > 40).float(), torch.arange(BATCH))
    outputs = Outputs(age + 5, age - 40, age[:, None])
    for _ in range(n // BATCH):
        metrics.update(outputs, batch, torch.zeros(3))
    metrics.compute()


def _row(what: str, n: int, repeats: int, work: Callable[[], object]) -> dict[str, object]:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    tell(f"  {what}, {n} faces: {min(seconds):.1f} s")
    peak = peak_of_all_mb()
    return {"what": what, "faces": n, "seconds": min(seconds), "peak_rss_mb": peak}

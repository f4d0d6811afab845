"""What the way from a portrait to its answer costs, stage by stage."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from PIL import Image

from agegender import checkpoint
from agegender.data.cache import Pixels
from agegender.errors import InputError
from agegender.estimators import open_estimator
from agegender.geometry import scene_of
from agegender.portraits.align import SIDE, crop, place_of
from agegender.portraits.detect import find_faces
from agegender.portraits.judge import warnings_of
from agegender.portraits.mtcnn import load_nets
from agegender.portraits.read import read_bytes
from agegender.unseen import unseen_faces

SIZES = {"0.3 MP": (640, 480), "2 MP": (1600, 1200), "12 MP": (4000, 3000)}
BATCHES = (1, 32)  # faces that the network reads at once


def measure(
    cfg: DictConfig, networks: Sequence[Path], threads: Sequence[int], repeats: int
) -> pd.DataFrame:
    """Measure all stages, each in turn, so that a slow moment of the machine hits all.

    Args:
        cfg: as `scripts/evaluate.py` has it: data of whose test faces portraits are made.
        networks: a checkpoint, and exported forms of it.
        threads: numbers of processor threads.
        repeats: measurements of each, after one that does not count.

    Returns:
        A row a stage: threads, stage, of (the picture's size, or the batch), ms (for a portrait or
        a face; the median), lowest and highest (ms), per_s.

    Raises:
        InputError: if a file or the data cannot be used, or if a face is not found again.
    """
    crops = unseen_faces(cfg, checkpoint.load(networks[0]).description, max(BATCHES), SIDE).crops
    rows = []
    for n in threads:
        torch.set_num_threads(n)
        stages = [*_portrait_stages(crops[0]), *_network_stages(crops, networks)]
        for turn in range(repeats + 1):
            for stage in stages:
                start = time.perf_counter()
                stage.work()
                ms = (time.perf_counter() - start) * 1000 / stage.at_once
                if turn:
                    rows.append((n, stage.name, stage.of, ms))
        rows += [(n, f"start to first answer, {path.name}", "0.3 MP", _start_up(path, crops[0], n))
                 for path in networks]  # fmt: skip
    by = ["threads", "stage", "of"]
    table = pd.DataFrame(rows, columns=[*by, "ms"]).groupby(by, sort=False)["ms"]
    found = table.agg(ms="median", lowest="min", highest="max")
    whole: pd.DataFrame = found.assign(per_s=1000 / found["ms"]).reset_index()
    return whole


class Stage(NamedTuple):
    """Something to be measured, that does `at_once` portraits or faces."""

    name: str
    of: str
    at_once: int
    work: Callable[[], object]


def _portrait_stages(pixels: Pixels) -> Iterator[Stage]:
    nets = load_nets()
    for size, (width, height) in SIZES.items():
        stream = BytesIO()
        portrait_of(pixels, width, height).save(stream, "JPEG", quality=92)
        data = stream.getvalue()
        picture = read_bytes(data)
        faces = find_faces(picture, nets)
        if not faces:
            raise InputError(
                f"the detector finds no face in a portrait of {width} x {height} pixels made of the"
                f" data's first face: name other data or another data.split"
            )
        face = faces[0]
        place = place_of(face)
        cut = crop(picture, place)
        yield Stage("read", size, 1, partial(read_bytes, data))
        yield Stage("detect", size, 1, partial(find_faces, picture, nets))
        yield Stage("align", size, 1, partial(crop, picture, place))
        yield Stage("judge", size, 1, partial(warnings_of, face, place, picture, cut, 64))


def _network_stages(crops: Sequence[Pixels], networks: Sequence[Path]) -> Iterator[Stage]:
    for path in networks:
        network = open_estimator(path)
        for batch in BATCHES:
            few = list(islice(cycle(crops), batch))
            name = f"predict, {path.name}"
            yield Stage(name, f"batch of {batch}", batch, partial(network, few))


def _start_up(network: Path, pixels: Pixels, threads: int) -> float:
    """Milliseconds from the start of Python to the first answer about a portrait."""
    code = "import sys, agegender; agegender.load(sys.argv[1]).predict(sys.argv[2])"
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "portrait.jpg"
        portrait_of(pixels, *SIZES["0.3 MP"]).save(picture)
        start = time.perf_counter()
        words = [sys.executable, "-c", code, str(network), str(picture)]
        subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        return (time.perf_counter() - start) * 1000


def portrait_of(pixels: Pixels, width: int, height: int) -> Image.Image:
    """A picture of a size with a face in it, whose crop is half as high as the picture."""
    scene, _ = scene_of(pixels, np.random.default_rng(0), height / 2)
    noise = Image.effect_noise((width, height), 40).convert("RGB")
    noise.paste(scene, ((width - scene.width) // 2, (height - scene.height) // 2))
    return noise

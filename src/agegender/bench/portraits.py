"""What the way from a portrait to its answer costs, stage by stage."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from agegender.data.cache import Pixels
from agegender.estimators import Estimator, open_estimator
from agegender.geometry import scene_of
from agegender.portraits.align import crop, place_of
from agegender.portraits.detect import find_faces
from agegender.portraits.judge import warnings_of
from agegender.portraits.mtcnn import load_nets
from agegender.portraits.read import read_bytes

SIZES = {"0.3 MP": (640, 480), "2 MP": (1600, 1200), "12 MP": (4000, 3000)}
BATCHES = (1, 32)  # faces that the network reads at once
FACE = 0.4  # of a portrait's height


def speed(
    crops: Sequence[Pixels], networks: Sequence[Path], threads: Sequence[int], repeats: int
) -> pd.DataFrame:
    """Measure all stages, every one in turn, so that a slow moment of the machine hits all.

    Args:
        crops: real faces, of which portraits are made.
        networks: a checkpoint, and exported forms of it.
        threads: numbers of processor threads.
        repeats: measurements of each; the median counts.

    Returns:
        A row a stage: threads, stage, of (the picture's size, or the batch), ms (for a portrait or
        a face, median), per_s, lowest and highest (ms).
    """
    rows = []
    for n in threads:
        torch.set_num_threads(n)
        stages = [*_portrait_stages(crops), *_network_stages(crops, networks)]
        for _ in range(repeats + 1):  # the first is a warm-up
            for stage, of, count, work in stages:
                start = time.perf_counter()
                work()
                rows.append((n, stage, of, (time.perf_counter() - start) * 1000 / count))
    table = pd.DataFrame(rows, columns=["threads", "stage", "of", "ms"])
    by = ["threads", "stage", "of"]
    table = table[table.groupby(by).cumcount() > 0]
    found = table.groupby(by, sort=False)["ms"].agg(ms="median", lowest="min", highest="max")
    return found.assign(per_s=1000 / found["ms"]).reset_index()


def start_up(networks: Sequence[Path], root: Path, picture: Path) -> pd.DataFrame:
    """Seconds from the start of Python to the first answer about a picture, by each network."""
    rows = []
    for network in networks:
        code = f"import agegender; agegender.load({str(network)!r}).predict({str(picture)!r})"
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        rows.append((network.name, time.perf_counter() - start))
    return pd.DataFrame(rows, columns=["stage", "seconds"])


Stage = tuple[str, str, int, Callable[[], object]]


def _portrait_stages(crops: Sequence[Pixels]) -> Iterator[Stage]:
    nets = load_nets()
    for name, (width, height) in SIZES.items():
        portrait = portrait_of(crops[0], width, height)
        stream = BytesIO()
        portrait.save(stream, "JPEG", quality=92)
        data = stream.getvalue()
        picture = read_bytes(data)
        faces = find_faces(picture, nets)
        place = place_of(faces[0])
        pixels = crop(picture, place)

        def align(picture: Image.Image = picture, face: object = faces[0]) -> object:
            return crop(picture, place_of(face))  # type: ignore[arg-type]

        yield "read", name, 1, lambda data=data: read_bytes(data)  # type: ignore[misc]
        yield "detect", name, 1, lambda picture=picture: find_faces(picture, nets)  # type: ignore[misc]
        yield "align", name, 1, align
        yield (
            *("judge", name, 1),
            lambda p=picture, f=faces[0], at=place, c=pixels: warnings_of(f, at, p, c, 64),  # type: ignore[misc]
        )


def _network_stages(crops: Sequence[Pixels], networks: Sequence[Path]) -> Iterator[Stage]:
    for path in networks:
        network: Estimator = open_estimator(path)
        for batch in BATCHES:
            few = [crops[i % len(crops)] for i in range(batch)]
            yield (
                f"predict, {path.name}", f"batch of {batch}", batch,
                lambda network=network, few=few: network(few),
            )  # type: ignore[misc]  # fmt: skip


def portrait_of(pixels: Pixels, width: int, height: int) -> Image.Image:
    """A picture of a size, with a face of 0.4 times its height."""
    side = FACE * height * 200 / 120  # a face takes about 120 of a crop's 200 pixels
    scene, _ = scene_of(pixels, np.random.default_rng(0), min(side, height / 1.6))
    whole = Image.effect_noise((width, height), 40).convert("RGB")
    whole.paste(scene.crop((0, 0, width, height)), (0, 0, width, height))
    return whole

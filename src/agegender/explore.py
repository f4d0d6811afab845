"""From a composed config to a page about the data that it names."""

from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from agegender.config import build, check_config
from agegender.data.datamodule import FaceData
from agegender.data.pictures import measure
from agegender.errors import InputError
from agegender.reports.data_report import write_report
from agegender.reports.suspects import rank_suspects, read_predictions, write_suspects


def explore(cfg: DictConfig) -> Path:
    """Write the report.

    Returns:
        The page's path.

    Raises:
        InputError: if the config or the data are not usable.
    """
    if cfg.groups_shown < 0:
        raise InputError(f"groups_shown={cfg.groups_shown} is not at least 0")
    check_config(cfg)
    data: FaceData = build(cfg.data)
    data.setup("fit")
    measured = measure(data.pixels, np.arange(len(data.frame)))
    # labels as annotated: what the policy settles or leaves out is told in the split's section
    faces = data.faces.frame.assign(part=data.frame["part"].to_numpy())
    faces = faces.reset_index(drop=True).join(measured)
    name = data.csv.name if data.csv else "drawn portraits" if data.drawn else "UTKFace"
    crossing = ", ".join(f"{n} faces of {part}" for part, n in data.crossings.items())
    return write_report(
        Path(cfg.output_dir),
        f"What is in the data: {name}",
        faces,
        data.groups,
        data.faces.rejects,
        f"{data.split} ({data.split_hash}), duplicates={data.duplicates};"
        f" with a copy in train: {crossing}",
        data.pixels,
        cfg.groups_shown,
    )


def suspects(cfg: DictConfig) -> Path:
    """Write the page of the faces whose labels are least likely.

    Returns:
        The page's path.

    Raises:
        InputError: if the config, the predictions or the data are not usable.
    """
    if cfg.shown < 0:
        raise InputError(f"shown={cfg.shown} is not at least 0")
    check_config(cfg)
    ranked = rank_suspects(read_predictions(Path(cfg.predictions)))
    data: FaceData = build(cfg.data)
    data.setup("fit")
    row_of = pd.Series(np.arange(len(data.frame)), index=data.frame["file"])
    unknown = ranked["file"][~ranked["file"].isin(row_of.index)]
    if len(unknown):
        raise InputError(
            f"predictions={cfg.predictions} names {len(unknown)} files that are not in the data,"
            f" the first {unknown.iloc[0]!r}: name the data that the folds were of"
        )
    first = row_of.loc[ranked["file"].head(cfg.shown)]
    return write_suspects(Path(cfg.output_dir), ranked, [data.pixels[row] for row in first])

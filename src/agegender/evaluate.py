"""Score a network on the parts of a data set."""

import lightning.pytorch as pl
import pandas as pd

from agegender.data.datamodule import FaceData
from agegender.module import FaceModule

COLUMNS = ["file", "part", "group_id", "age_years", "age_pred", "gender", "p_female", "race"]


def predict_parts(
    module: FaceModule, data: FaceData, parts: list[str], precision: str
) -> pd.DataFrame:
    """Run over whole parts, each face once.

    Returns:
        One row a face: file, part, group_id, age_years and age_pred (years), gender (0 male,
        1 female), p_female (0 to 1), race (or missing). A part without faces gives no rows.
    """
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[],
    )
    tables = []
    for part in parts:
        if len(data.rows(part)) == 0:
            continue
        trainer.test(module, data.part_dataloader(part), verbose=False)
        found = module.predictions["test"]
        rows = data.frame.iloc[found.index.numpy()]
        tables.append(rows.assign(age_pred=found.age_pred.numpy(), p_female=found.p_female.numpy()))
    return pd.concat(tables)[COLUMNS]

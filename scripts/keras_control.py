"""Train the notebook's network in Keras on exactly the faces and split of experiment=notebook.

A control: what differs between the two is the framework's doing, not that of the faces or the
split. Needs `pip install tensorflow-cpu`, and continues when called again after a cut.
Seed 1 stands in docs/results/keras_control.csv, made by
`python scripts/keras_control.py UTKFace.tar.gz 1 keras_control.csv --backup FOLDER`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.bench.keras_way import arrays, network
from agegender.data.datamodule import FaceData
from agegender.data.files import whole_file

EPOCHS, BATCH = 30, 32
Array = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", help="UTKFace.tar.gz")
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path, help="CSV to write, a row an epoch")
    parser.add_argument("--backup", type=Path, required=True, help="folder for continuing")
    given = parser.parse_args()
    try:
        import tensorflow as tf
        from tensorflow import keras
    except ImportError:
        sys.exit("error: this control needs Keras: pip install tensorflow-cpu")

    data = FaceData(archive=given.archive, split="notebook")
    data.setup("fit")
    parts = {part: _arrays(data, part) for part in ("train", "val")}

    keras.utils.set_random_seed(given.seed)
    model = network(keras)
    given.backup.mkdir(parents=True, exist_ok=True)
    log = given.backup / "history.csv"
    model.fit(
        *parts["train"],
        validation_data=parts["val"],
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=2,
        callbacks=[
            keras.callbacks.BackupAndRestore(str(given.backup / "state")),
            keras.callbacks.CSVLogger(str(log), append=True),
        ],
    )
    history = pd.read_csv(log)
    table = pd.DataFrame(
        {
            "seed": given.seed,
            "epoch": history["epoch"] + 1,
            "train_age_mae": history["age_mae"].round(4),
            "train_gender_acc": history["gender_accuracy"].round(4),
            "val_age_mae": history["val_age_mae"].round(4),
            "val_gender_acc": history["val_gender_accuracy"].round(4),
            "split_hash": data.split_hash,
            "tensorflow": tf.__version__,
        }
    )
    with whole_file(given.out) as temporary:
        table.to_csv(temporary, index=False)
    print(table.tail(1).to_string(index=False))


def _arrays(data: FaceData, part: str) -> tuple[Array, dict[str, Array]]:
    rows = data.rows(part)
    frame = data.frame.iloc[rows]
    age, gender = (frame[name].to_numpy(np.float32) for name in ("age_years", "gender"))
    return arrays(data.pixels[rows], age, gender)


if __name__ == "__main__":
    main()

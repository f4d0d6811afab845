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
    layers = keras.layers
    picture = flow = keras.Input((128, 128, 1))
    for width in (32, 64, 128, 256):
        flow = layers.Conv2D(width, 3, activation="relu")(flow)
        flow = layers.MaxPooling2D(2)(flow)
    flow = layers.Flatten()(flow)
    outputs = {}
    for name, activation in (("gender", "sigmoid"), ("age", "relu")):
        branch = layers.Dropout(0.3)(layers.Dense(256, activation="relu")(flow))
        outputs[name] = layers.Dense(1, activation=activation, name=name)(branch)
    network = keras.Model(picture, outputs)
    network.compile(
        optimizer="adam",
        loss={"gender": "binary_crossentropy", "age": "mae"},
        metrics={"gender": "accuracy", "age": "mae"},
    )
    given.backup.mkdir(parents=True, exist_ok=True)
    log = given.backup / "history.csv"
    network.fit(
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
    """Pictures (N, 128, 128, 1) float32 in 0..1, and the two labels, as the notebook had them."""
    rows = data.rows(part)
    frame = data.frame.iloc[rows]
    pixels = (data.pixels[rows].transpose(0, 2, 3, 1) / 255).astype(np.float32)
    age = frame["age_years"].to_numpy(np.float32)
    return pixels, {"gender": frame["gender"].to_numpy(np.float32), "age": age}


if __name__ == "__main__":
    main()

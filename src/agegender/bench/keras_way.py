"""The seed notebook's network in Keras, which has to be there: pip install tensorflow."""

import contextlib
import os
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender.bench.link import Link, Stopwatch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
Array = npt.NDArray[np.float32]


def network(keras: Any) -> Any:
    """Compiled as the notebook has it.

    Args:
        keras: the module.
    """
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
    model = keras.Model(picture, outputs)
    model.compile(
        optimizer="adam",
        loss={"gender": "binary_crossentropy", "age": "mae"},
        metrics={"gender": "accuracy", "age": "mae"},
    )
    return model


def arrays(
    pixels: npt.NDArray[np.uint8], age: Array, gender: Array
) -> tuple[Array, dict[str, Array]]:
    """Pictures (N, 128, 128, 1) float32 in 0..1, and the two labels, as the notebook had them."""
    pictures = (pixels.transpose(0, 2, 3, 1) / 255).astype(np.float32)
    return pictures, {"gender": gender.astype(np.float32), "age": age.astype(np.float32)}


def train(link: Link, faces: str, seconds: float) -> None:
    """Train on orders.

    Args:
        link: where they come from.
        faces: an `.npz` with pixels (a path), rows, val_rows, age, gender and
            batch_size.
        seconds: about how long a block of training steps lasts.
    """
    from tensorflow import keras

    given = np.load(faces)
    batch_size = int(given["batch_size"])
    pixels = np.load(str(given["pixels"]), mmap_mode="r")
    parts = {
        name: arrays(pixels[rows], given["age"][rows], given["gender"][rows])
        for name, rows in (("train", given["rows"]), ("val", given["val_rows"]))
    }
    model = network(keras)
    images, labels = parts["train"]

    def fit(n: int) -> int:
        some = {name: values[:n] for name, values in labels.items()}
        model.fit(images[:n], some, batch_size=batch_size, verbose=0)
        return n

    fit(batch_size)
    link.ready()
    block = 10 * batch_size
    while True:
        order = link.order()
        watch = Stopwatch()
        if order == "infer":
            model.predict(parts["val"][0], batch_size=batch_size, verbose=0)
            link.answer(len(parts["val"][0]), watch)
        else:
            link.answer(fit(block), watch)
            block = min(len(images), max(block, int(block * seconds / watch.seconds())))


if __name__ == "__main__":
    with contextlib.suppress(EOFError):  # there are no more orders
        train(Link(int(sys.argv[1])), sys.argv[2], float(sys.argv[3]))

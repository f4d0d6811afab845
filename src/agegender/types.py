"""The values that travel through the whole project."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Faces with their annotated labels.

    Attributes:
        image: (B, C, H, W). uint8 in 0..255 as the loader gives it; float32 in 0..1 once
            it is on the device. C is 1 (grey) or 3 (RGB).
        age: (B,) float32, annotated age in years, 0 to 120.
        gender: (B,) float32, annotated gender: 0 means male, 1 means female.
        row: (B,) int64, row of the face in the data module's table.
    """

    image: Tensor
    age: Tensor
    gender: Tensor
    row: Tensor


class Ages(NamedTuple):
    """What an age head's numbers mean.

    Attributes:
        age: (B,) float32, years.
        sd: (B,) float32, years: the spread of what the head takes for possible; None if it says
            one age only.
        p: (B, Y) float32: the probability of each of the years 0, 1, ..., Y - 1; each row sums
            to 1. None as sd.
    """

    age: Tensor
    sd: Tensor | None = None
    p: Tensor | None = None


class Outputs(NamedTuple):
    """What the network says of a batch.

    Attributes:
        age: (B,) float32, years.
        gender_logit: (B,) float32, > 0 means female.
        age_raw: (B, K) float32, the age head's numbers before decoding; their meaning is
            the age loss's own.
        age_sd: (B,) float32, years, and
        age_p: (B, Y) float32: as in `Ages`; None where the age loss has no distribution.
    """

    age: Tensor
    gender_logit: Tensor
    age_raw: Tensor
    age_sd: Tensor | None = None
    age_p: Tensor | None = None

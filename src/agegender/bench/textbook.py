"""The data path as textbooks have it: a file opened, decoded and resized a face and an epoch."""

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import Compose, Grayscale, InterpolationMode, Resize, ToTensor

from agegender.data.batches import Rows
from agegender.data.datamodule import FaceData


class Face(NamedTuple):
    """One face as a network takes it; `DataLoader` makes batches of it.

    Attributes:
        image: (C, H, W) float32 in 0..1.
        age: () float32, years.
        gender: () float32, 0 or 1.
    """

    image: Tensor
    age: Tensor
    gender: Tensor


class TextbookFaces(Dataset[Face]):
    """The faces of some rows of a data module, each made from its file when it is asked for.

    Args:
        data: after its `setup`.
        rows: (n,) rows of its table.
    """

    def __init__(self, data: FaceData, rows: Rows) -> None:
        frame = data.frame.iloc[rows]
        self.files = [data.faces.folder / name for name in frame["file"]]
        self.age = torch.tensor(frame["age_years"].to_numpy(), dtype=torch.float32)
        self.gender = torch.tensor(frame["gender"].to_numpy(), dtype=torch.float32)
        side = (data.image_size, data.image_size)
        grey = [Grayscale()] if data.channels == 1 else []
        self.transform = Compose([*grey, Resize(side, InterpolationMode.LANCZOS), ToTensor()])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, position: int) -> Face:
        with Image.open(self.files[position]) as image:
            picture = self.transform(image.convert("RGB"))
        return Face(picture, self.age[position], self.gender[position])

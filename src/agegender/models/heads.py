"""What stands on a backbone: one small dense branch for each task."""

from typing import TypeVar

import torch
from torch import Tensor, nn

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def glorot(layer: Layer) -> Layer:
    """Initialise as Keras does: Glorot-uniform weights (Glorot & Bengio 2010), zero biases."""
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class DenseHead(nn.Module):
    """Dense, ReLU, dropout, dense.

    The last layer always computes in float32: bfloat16 has steps of half a year at age 64.

    Shapes:
        (B, in_features) float -> (B, out_features) float32.
    """

    def __init__(self, in_features: int, out_features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = glorot(nn.Linear(in_features, hidden))
        self.dropout = nn.Dropout(dropout)
        self.out = glorot(nn.Linear(hidden, out_features))

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.dropout(torch.relu(self.hidden(features)))
        with torch.autocast(hidden.device.type, enabled=False):
            return self.out(hidden.float())  # type: ignore[no-any-return]

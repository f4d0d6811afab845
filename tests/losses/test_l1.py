import numpy as np
import torch

from agegender.losses.l1 import L1
from agegender.types import Outputs


def outputs_of(loss: L1, raw: list[float]) -> Outputs:
    tensor = torch.tensor(raw)[:, None]
    return Outputs(loss.decode(tensor).age, torch.zeros(len(raw)), tensor)


def test_it_is_the_mean_absolute_error_in_years():
    age = torch.tensor([1.0, 26.0, 116.0])
    raw = [3.5, 20.0, 100.0]
    loss = L1()
    expected = np.abs(np.array(raw) - age.numpy()).mean()  # (2.5 + 6 + 16) / 3
    assert loss(outputs_of(loss, raw), age).item() == np.float32(expected) == np.float32(24.5 / 3)


def test_relu_clips_years_at_zero_and_is_off_by_default():
    raw = torch.tensor([[-2.0], [3.0]])
    assert L1().decode(raw).age.tolist() == [-2, 3]
    assert L1(relu=True).decode(raw).age.tolist() == [0, 3]

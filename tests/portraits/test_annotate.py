import numpy as np
import pytest
from PIL import Image, ImageFont

from agegender.portraits.annotate import JPEG_SIDE, LETTERS, annotated, label_of
from agegender.portraits.faces import BOX, POINTS

ROW = {
    **dict.fromkeys((*BOX, *POINTS), np.nan), "face": 1, "age_pred": 34.0, "age_lo": 27.0,
    "age_hi": 41.0, "gender": "female", "p_female": 0.98,
}  # fmt: skip


@pytest.mark.parametrize("size", [(100, 480), (40, 100), (100, 1500), (900, 700)])
def test_a_label_is_within_its_copy(size: tuple[int, int]):
    copy = np.asarray(annotated(Image.new("RGB", size, (128, 128, 128)), [ROW])).astype(int)
    letters = np.flatnonzero((copy.max(2) < 60).any(0))
    assert 0 < letters.min()
    assert letters.max() < copy.shape[1] - 1
    least = ImageFont.load_default(size=LETTERS).getlength(label_of(ROW))
    assert letters.max() - letters.min() > 0.9 * least


def test_a_copy_is_never_larger_than_jpeg_allows():
    copy = annotated(Image.new("RGB", (16, 70_000)), [ROW])
    assert copy.size == (15, JPEG_SIDE)

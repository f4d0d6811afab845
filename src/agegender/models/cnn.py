"""The seed backbone: four convolutions with max pooling."""

from collections.abc import Sequence

from torch import Tensor, nn

from agegender.models.heads import glorot


class CNN(nn.Module):
    """Blocks of 3x3 convolution (valid), 2x2 max pooling and ReLU, then flatten.

    The Kaggle notebook that this project starts from puts the ReLU before the pooling.
    Both orders give the same numbers, since ReLU is monotone; this one touches a quarter
    of the values.

    Args:
        in_channels: 1 (grey) or 3 (RGB).
        image_size: height and width of the input in pixels.
        widths: output channels of each block.

    Shapes:
        (B, in_channels, image_size, image_size) float in 0..1 -> (B, features) float.

    Raises:
        ValueError: if the picture is too small for the number of blocks.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: int = 128,
        widths: Sequence[int] = (32, 64, 128, 256),
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        channels, side = in_channels, image_size
        for width in widths:
            conv = glorot(nn.Conv2d(channels, width, kernel_size=3))
            blocks += [conv, nn.MaxPool2d(2), nn.ReLU(inplace=True)]
            channels, side = width, (side - 2) // 2
        if side < 1:
            raise ValueError(
                f"image_size={image_size} is too small for {len(widths)} blocks of convolution"
                f" and pooling: use a larger image or fewer widths"
            )
        self.blocks = nn.Sequential(*blocks)
        self.features = channels * side * side

    def forward(self, image: Tensor) -> Tensor:
        return self.blocks(image).flatten(1)  # type: ignore[no-any-return]  # (B, features)

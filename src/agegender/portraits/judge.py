"""What makes an answer about a face less reliable, seen from the picture alone."""

from PIL import Image

from agegender.data.cache import Pixels
from agegender.data.pictures import MEASURES, measures
from agegender.portraits.align import SIDE, TEMPLATE, Place, share_outside
from agegender.portraits.faces import Face

# of 990 of UTKFace's crops one in a hundred is less sharp, and one in fifty turned further
BLURRED = 7.0  # variance of the Laplacian of a crop, of 255 squared
TURNED = 0.28  # nose off the middle of the eyes and the mouth, in distances of the eyes
CUT = 0.1  # share of the crop outside the picture


def warnings_of(
    face: Face, place: Place, picture: Image.Image, crop: Pixels, input_side: int
) -> list[str]:
    """Words for what is wrong with a face.

    Args:
        face: where it is.
        place: of its crop.
        picture: all of it.
        crop: the face, (SIDE, SIDE, 3) uint8.
        input_side: of what the network reads, pixels.

    Returns:
        Some of small (the crop has fewer pixels than the network reads), blurred, turned (to a
        side) and cut (by the edge of the picture).
    """
    wrong = []
    small = SIDE * place.scale < input_side
    if small:
        wrong.append("small")
    sharpness = measures(crop.transpose(2, 0, 1)[None])[0, MEASURES.index("sharpness")]
    if sharpness < BLURRED and not small:  # what is small is blurred too
        wrong.append("blurred")
    if abs(turn(face, place)) > TURNED:
        wrong.append("turned")
    if share_outside(picture, place) > CUT:
        wrong.append("cut")
    return wrong


def turn(face: Face, place: Place) -> float:
    """How far the nose is off the middle of eyes and mouth, in distances of the eyes."""
    x = place.in_crop(face.points)[:, 0]
    eyes = TEMPLATE[1, 0] - TEMPLATE[0, 0]
    return float((x[2] - x[[0, 1, 3, 4]].mean()) / eyes)

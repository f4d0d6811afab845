"""Portraits drawn by code, named like UTKFace, whose age and gender can be learned.

Nobody's face: a cartoon from a few traits that change with age (proportions, grey hair,
bald heads, wrinkles, sagging) and gender (jaw, brows, lips, beard, length of hair), each
with noise, under random light.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from agegender.data.files import whole_folder

VERSION = 1  # of the drawing; raise it when the pictures change
SIZE = 200  # pixels, as UTKFace's crops
SKINS = ((236, 195, 165), (120, 78, 52), (240, 205, 165), (172, 118, 80), (205, 155, 115))
HAIRS = ((38, 28, 22), (84, 52, 30), (150, 105, 60), (28, 24, 28), (120, 60, 30))
GREY = np.array([205, 205, 208])

Colour = tuple[int, int, int]
Rng = np.random.Generator


@dataclass(frozen=True)
class Traits:
    """What is drawn; lengths in pixels of a 200 x 200 picture, shares from 0 to 1."""

    centre: tuple[float, float]
    width: float  # half the head's width
    height: float  # half the head's height
    jaw: float  # how square
    eye: float  # radius
    eye_y: float  # below the centre
    brow: float  # thickness
    lips: float  # thickness
    skin: Colour
    lip: Colour
    hair: Colour
    iris: Colour
    hair_length: float  # below the centre; negative: short
    bald: float
    beard: float
    wrinkles: float
    glasses: bool


def draw_folder(cache_dir: Path, n: int, seed: int) -> Path:
    """A folder of `n` drawn portraits below `cache_dir`, the same for the same (n, seed)."""
    place = cache_dir / "synthetic" / f"v{VERSION}-{n}-{seed}"
    if place.is_dir():
        return place
    with whole_folder(place) as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:

        def save(i: int) -> None:
            name, image = portrait(seed, i)
            image.save(temporary / name, quality=90)

        jobs = pool.map(save, range(n))
        for _ in tqdm(jobs, "drawing portraits", n, unit="face", leave=False, disable=None):
            pass
    return place


def portrait(seed: int, i: int) -> tuple[str, Image.Image]:
    """Portrait number `i` of a seed: its file name (with the labels) and the picture."""
    rng = np.random.default_rng([seed, i])
    age = _age(rng)
    gender, race = int(rng.integers(2)), int(rng.integers(5))
    image = draw(_traits(age, gender == 1, race, rng), rng)
    return f"{age}_{gender}_{race}_20260101{i:09d}.jpg.chip.jpg", image


def _age(rng: Rng) -> int:
    """UTKFace's three humps: small children, many around thirty, a long tail."""
    centre, spread = ((4, 4), (30, 9), (55, 17))[rng.choice(3, p=[0.2, 0.45, 0.35])]
    return int(np.clip(abs(rng.normal(centre, spread)), 1, 100))


def _traits(age: int, female: bool, race: int, rng: Rng) -> Traits:
    child = max(0.0, 1 - age / 18)
    old = float(np.clip((age - 25) / 55, 0, 1))
    adult_man = not female and age >= 17
    greying = 1 / (1 + np.exp(-(age - 48 - rng.normal(0, 5)) / 6))
    skin = np.array(SKINS[race]) * rng.uniform(0.9, 1.1)
    hair = np.array(HAIRS[rng.integers(5)]) * (1 - greying) + GREY * greying
    lip = skin * (0.85, 0.42, 0.45) if female and age > 12 else skin * (0.88, 0.74, 0.72)
    long_hair = rng.random() < (0.9 if female else 0.05) and age > 1
    return Traits(
        centre=(100 + rng.normal(0, 3), 104 + rng.normal(0, 3)),
        width=56 + 8 * child - 3 * female + rng.normal(0, 2),
        height=76 - 14 * child + 3 * old + rng.normal(0, 2),
        jaw=float(np.clip(0.15 + 0.5 * adult_man + rng.normal(0, 0.1), 0, 1)),
        eye=7 + 4 * child - 1.5 * old + 0.8 * female + rng.normal(0, 0.4),
        eye_y=-12 + 16 * child + rng.normal(0, 1),
        brow=1.5 + 3.5 * adult_man + rng.normal(0, 0.4),
        lips=4 + 3.5 * (female and age > 12) - 1.5 * old + rng.normal(0, 0.4),
        skin=_colour(skin),
        lip=_colour(lip),
        hair=_colour(hair),
        iris=_colour(np.array(((60, 40, 25), (70, 100, 130), (80, 100, 60))[rng.integers(3)])),
        hair_length=rng.uniform(45, 95) if long_hair else -rng.uniform(10, 30),
        bald=float(np.clip(rng.normal(1.1 * old if adult_man else 0, 0.15), 0, 1)),
        beard=float(adult_man and rng.random() < 0.55) * rng.uniform(0.4, 1),
        wrinkles=float(np.clip(old + rng.normal(0, 0.05), 0, 1)),
        glasses=bool(rng.random() < 0.08 + 0.25 * old),
    )


def draw(traits: Traits, rng: Rng) -> Image.Image:
    """Traits -> (200, 200) RGB picture, under random light."""
    backdrop = rng.uniform(40, 215, size=(2, 1)) + rng.uniform(-25, 25, size=(2, 3))
    slope = np.linspace(0, 1, SIZE)[:, None, None]
    canvas = backdrop[0] * (1 - slope) + backdrop[1] * slope + np.zeros((1, SIZE, 1))
    image = Image.fromarray(canvas.astype(np.uint8))
    pen = ImageDraw.Draw(image, "RGBA")
    _body(pen, traits)
    _head(pen, traits)
    _face(pen, traits)
    _age_lines(pen, traits)
    _front_hair(pen, traits)
    if traits.glasses:
        _glasses(pen, traits)
    return _photograph(image, rng)


def _body(pen: ImageDraw.ImageDraw, t: Traits) -> None:
    """Long hair behind the head, neck and shoulders."""
    x, y = t.centre
    if t.hair_length > 0:
        bottom = y + t.hair_length
        pen.rounded_rectangle(
            (x - t.width - 16, y - t.height - 6, x + t.width + 16, bottom), 50, fill=t.hair
        )
    pen.rectangle((x - 26, y + t.height * 0.6, x + 26, 200), fill=_shade(t.skin, 0.85))
    pen.ellipse((x - 110, y + t.height + 12, x + 110, y + t.height + 150), fill=(70, 80, 110))


def _head(pen: ImageDraw.ImageDraw, t: Traits) -> None:
    """Ears, skull and jaw, and the beard on it."""
    x, y = t.centre
    for side in (-1, 1):
        ear = x + side * t.width
        pen.ellipse((ear - 8, y - 14, ear + 8, y + 14), fill=_shade(t.skin, 0.9))
    pen.ellipse((x - t.width, y - t.height, x + t.width, y + t.height), fill=t.skin)
    jaw = (x - t.width * 0.86, y, x + t.width * 0.86, y + t.height * 0.97)
    pen.rounded_rectangle(jaw, radius=int(52 - 30 * t.jaw), fill=t.skin)
    if t.beard:
        beard = (*t.hair, int(235 * t.beard))
        lower = (x - t.width * 0.86, y + t.height * 0.3, x + t.width * 0.86, y + t.height + 4)
        pen.rounded_rectangle(lower, radius=34, fill=beard)
        pen.ellipse(
            (x - t.width * 0.6, y + t.height * 0.1, x + t.width * 0.6, y + t.height * 0.5),
            fill=t.skin,
        )


def _face(pen: ImageDraw.ImageDraw, t: Traits) -> None:
    """Eyes, brows, nose and mouth."""
    x, y = t.centre
    eye_y, apart = y + t.eye_y, t.width * 0.44
    for side in (-1, 1):
        ex = x + side * apart
        pen.ellipse((ex - t.eye * 1.5, eye_y - t.eye, ex + t.eye * 1.5, eye_y + t.eye), "white")
        iris = t.eye * 0.8
        pen.ellipse((ex - iris, eye_y - iris, ex + iris, eye_y + iris), fill=t.iris)
        pen.ellipse((ex - 2.5, eye_y - 2.5, ex + 2.5, eye_y + 2.5), fill="black")
        brow = (ex - 14, eye_y - t.eye - 13, ex + 14, eye_y - t.eye + 5)
        pen.arc(brow, 200, 340, fill=_shade(t.hair, 0.8), width=max(1, round(t.brow)))
    nose_y = y + t.height * 0.28
    pen.arc((x - 9, nose_y - 14, x + 9, nose_y), 20, 160, fill=_shade(t.skin, 0.65), width=3)
    mouth_y = y + t.height * 0.55
    pen.ellipse((x - 20, mouth_y - t.lips, x + 20, mouth_y + t.lips), fill=t.lip)
    pen.line((x - 20, mouth_y, x + 20, mouth_y), fill=_shade(t.lip, 0.6), width=2)


def _age_lines(pen: ImageDraw.ImageDraw, t: Traits) -> None:
    """Forehead lines, crow's feet, folds beside the mouth and bags under the eyes."""
    x, y = t.centre
    line = (*_shade(t.skin, 0.55), int(220 * t.wrinkles))
    for k in range(round(4 * t.wrinkles)):
        top = y - t.height * 0.62 + 9 * k
        pen.arc((x - 30, top, x + 30, top + 14), 205, 335, fill=line, width=2)
    if t.wrinkles < 0.15:
        return
    for side in (-1, 1):
        corner, eye_y = x + side * t.width * 0.72, y + t.eye_y
        for k in (-1, 0, 1):
            pen.line((corner, eye_y + 3 * k, corner + side * 9, eye_y + 8 * k), fill=line, width=2)
        fold = x + side * 20
        lower = y + t.height * (0.4 + 0.2 * t.wrinkles)
        pen.line((fold, y + t.height * 0.25, fold + side * 7, lower), fill=line, width=3)
        bag = (x + side * t.width * 0.44 - 12, eye_y, x + side * t.width * 0.44 + 12, eye_y + 16)
        pen.arc(bag, 25, 155, fill=line, width=2)


def _front_hair(pen: ImageDraw.ImageDraw, t: Traits) -> None:
    """The hairline; a bald head keeps some at the sides."""
    x, y = t.centre
    if t.bald > 0.7:
        for side in (-1, 1):
            at = x + side * t.width
            pen.ellipse((at - 9, y - 40, at + 9, y + 4), fill=t.hair)
        return
    box = (x - t.width - 5, y - t.height - 8, x + t.width + 5, y + t.height * 0.6)
    dip = 28 * (1 - t.bald)
    pen.chord(box, 180 + 42 - dip, 360 - 42 + dip, fill=t.hair)


def _glasses(pen: ImageDraw.ImageDraw, t: Traits) -> None:
    x, eye_y, apart = t.centre[0], t.centre[1] + t.eye_y, t.width * 0.44
    for side in (-1, 1):
        ex = x + side * apart
        pen.ellipse((ex - 18, eye_y - 15, ex + 18, eye_y + 15), outline=(40, 40, 45), width=3)
    pen.line((x - apart + 18, eye_y, x + apart - 18, eye_y), fill=(40, 40, 45), width=3)


def _photograph(image: Image.Image, rng: Rng) -> Image.Image:
    """Tilt, blur, light from one side, noise; overall brightness tells nothing."""
    image = image.rotate(rng.normal(0, 4), Image.Resampling.BILINEAR)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.4)))
    side = 1 + rng.uniform(-0.25, 0.25) * np.linspace(-1, 1, SIZE)[None, :, None]
    light = rng.uniform(0.5, 1.15) * side
    noise = rng.normal(0, 5, size=(SIZE, SIZE, 1))
    pixels = np.asarray(image, dtype=np.float32) * light + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _colour(value: npt.NDArray[np.float64]) -> Colour:
    red, green, blue = (int(v) for v in np.clip(value, 0, 255))
    return red, green, blue


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(v * factor) for v in colour)
    return red, green, blue

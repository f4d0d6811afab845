import numpy as np
import pytest
from PIL import Image

from agegender.data import synthetic
from agegender.geometry import scene_of, shift_of
from agegender.portraits.align import Place, crop, place_of
from agegender.portraits.detect import find_faces
from agegender.portraits.faces import Face
from agegender.portraits.judge import warnings_of
from agegender.portraits.mtcnn import Nets, load_nets

pytest.importorskip("lz4", reason="needs the extra portrait")
DRAWN = synthetic.portrait(0, 5)[1]  # one that the detector takes for a face


@pytest.fixture(scope="module")
def nets() -> Nets:
    return load_nets()


@pytest.fixture(scope="module")
def face(nets: Nets) -> Face:
    (found,) = find_faces(DRAWN, nets)
    return found


def test_the_points_of_a_drawn_face_are_where_they_were_drawn(face: Face):
    eyes, nose, mouth = face.points[:2], face.points[2], face.points[3:]
    assert 60 < face.points[:, 0].mean() < 140
    assert eyes[0, 0] < nose[0] < eyes[1, 0]
    assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()
    assert (face.box[:2] < face.points.min(0)).all()
    assert (face.points.max(0) < face.box[2:]).all()
    assert 0.8 < face.score <= 1


@pytest.mark.parametrize("side", [90.0, 300.0])
def test_a_face_is_found_wherever_it_is(nets: Nets, face: Face, side: float):
    scene, there = scene_of(np.asarray(DRAWN), np.random.default_rng(4), side)
    (found,) = find_faces(scene, nets)
    alone = place_of(face)
    origin = there.origin + alone.origin * there.step
    assert shift_of(place_of(found), Place(origin, alone.step * there.step)) < 12


def test_places_are_those_of_the_full_picture(nets: Nets, face: Face):
    grown = DRAWN.resize((2400, 2400), Image.Resampling.BICUBIC)
    (found,) = find_faces(grown, nets)  # it is searched at 1280 pixels
    np.testing.assert_allclose(found.points / 12, face.points, atol=4)


def test_several_faces_are_found_the_largest_first(nets: Nets):
    wide = Image.new("RGB", (700, 420), (70, 90, 110))
    wide.paste(DRAWN, (30, 30))
    wide.paste(DRAWN.resize((300, 300)), (330, 60))
    large, small = find_faces(wide, nets)
    assert large.points[:, 0].min() > 330 > small.points[:, 0].max()


@pytest.mark.parametrize("size", [(16, 16), (16, 20_000), (300, 200)])
def test_where_there_is_no_face_none_is_found(nets: Nets, size: tuple[int, int]):
    assert find_faces(Image.effect_noise(size, 60).convert("RGB"), nets) == []


def test_warnings_say_what_is_wrong(face: Face):
    place = place_of(face)

    def said(picture: Image.Image, place: Place, points: np.ndarray = face.points) -> list[str]:
        found = Face(face.box, points, 1.0)
        return warnings_of(found, place, picture, crop(picture, place), 64)

    whole = Image.new("RGB", (400, 400), (80, 90, 100))
    whole.paste(DRAWN, (100, 100))
    points = face.points + 100
    moved = Place(place.origin + 100 + 100j, place.step)
    assert said(whole, moved, points) == []
    tiny = whole.resize((100, 100))
    assert said(tiny, Place(moved.origin / 4, moved.step / 4), points / 4) == ["small"]
    soft = whole.resize((40, 40)).resize((400, 400), Image.Resampling.BICUBIC)
    assert said(soft, moved, points) == ["blurred"]
    aside = points + np.array([[0, 0], [0, 0], [60, 0], [0, 0], [0, 0]])
    assert said(whole, moved, aside) == ["turned"]
    edge = whole.crop((100 + 60, 0, 400, 400))
    assert said(edge, Place(moved.origin - 160, moved.step), points - (160, 0)) == ["cut"]

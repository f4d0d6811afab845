import http.server
import io
import logging
import sys
import tarfile
import threading
import types
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agegender.data import source
from agegender.errors import InputError

NAMES = ("26_1_2_1.jpg.chip.jpg", "40_0_1_2.jpg.chip.jpg")


def make_tar(path: Path, members: list[tarfile.TarInfo], size: int = 3) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        for member in members:
            member.size = size if member.isreg() else 0
            bundle.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def files(*names: str) -> list[tarfile.TarInfo]:
    return [tarfile.TarInfo(name) for name in names]


@pytest.fixture
def good_tar(tmp_path: Path) -> Path:
    return make_tar(tmp_path / "UTKFace.tar.gz", files(*(f"UTKFace/{name}" for name in NAMES)))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_root_is_the_folder_itself_or_its_parent(tmp_path: Path):
    folder = tmp_path / "UTKFace"
    folder.mkdir()
    (folder / NAMES[0]).touch()
    assert source.find_utkface(str(folder), None, tmp_path / "c") == folder
    assert source.find_utkface(str(tmp_path), None, tmp_path / "c") == folder


def test_root_without_faces_names_the_ways_out(tmp_path: Path):
    for root, said in ((tmp_path, "holds neither pictures nor"), (tmp_path / "no", "not a folder")):
        with pytest.raises(InputError, match=said) as caught:
            source.find_utkface(str(root), None, tmp_path / "c")
        assert "data=synthetic" in str(caught.value)


def test_tar_is_extracted_once(good_tar: Path, tmp_path: Path):
    folder = source.find_utkface(None, str(good_tar), tmp_path / "c")
    assert names_in(folder) == list(NAMES)
    stamp = folder.stat().st_mtime_ns
    assert source.extract(good_tar, tmp_path / "c").stat().st_mtime_ns == stamp


def test_kaggles_zip_gives_each_face_once(tmp_path: Path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for folder in ("crop_part1", "utkface_aligned_cropped/UTKFace", "UTKFace",
                       "utkface_aligned_cropped/crop_part1"):  # fmt: skip
            for name in NAMES:
                bundle.writestr(f"{folder}/{name}", folder)
    folder = source.extract(archive, tmp_path / "c")
    assert names_in(folder) == list(NAMES)
    assert (folder / NAMES[0]).read_text() == "UTKFace"


def _link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("UTKFace/26_1_2_3.jpg")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (files("UTKFace/../../evil.jpg"), "points outside"),
        (files("/tmp/UTKFace/evil.jpg"), "points outside"),
        ([_link(tarfile.SYMTYPE)], "is a link"),
        ([_link(tarfile.LNKTYPE)], "is a link"),
        ([_link(tarfile.CHRTYPE)], "is a device"),
        (files(f"UTKFace/{NAMES[0]}", f"UTKFace/{NAMES[0]}"), "twice"),
        (files("faces/1.jpg"), "holds no folder UTKFace/"),
    ],
)
def test_unsafe_and_foreign_tars_are_refused_whole(members, said, tmp_path: Path):
    archive = make_tar(
        tmp_path / "a.tar.gz", files(f"UTKFace/{NAMES[1]}") * ("no" not in said) + members
    )
    with pytest.raises(InputError, match=said):
        source.extract(archive, tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*.jpg"))


def test_absurd_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source, "MAX_MEMBER_BYTES", 1000)
    archive = make_tar(tmp_path / "a.tar.gz", files("UTKFace/1_1_1_1.jpg"), size=1001)
    with pytest.raises(InputError, match="unpacks to 1,001 bytes"):
        source.extract(archive, tmp_path / "c")
    monkeypatch.setattr(source, "MAX_MEMBERS", 1)
    two = make_tar(tmp_path / "b.tar.gz", files(*(f"UTKFace/{name}" for name in NAMES)))
    with pytest.raises(InputError, match="more than 1 files"):
        source.extract(two, tmp_path / "c")


def test_a_cut_archive_leaves_nothing_behind(good_tar: Path, tmp_path: Path):
    good_tar.write_bytes(good_tar.read_bytes()[:120])
    with pytest.raises(InputError, match="cannot be extracted"):
        source.extract(good_tar, tmp_path / "c")
    assert not list((tmp_path / "c").rglob("UTKFace"))
    text = tmp_path / "b.tar.gz"
    text.write_text("hello")
    with pytest.raises(InputError, match="neither a tar nor a zip"):
        source.extract(text, tmp_path / "c")


@contextmanager
def served(body: bytes, drop_first: int) -> Iterator[tuple[str, list[str | None]]]:
    """A local server; its first answer breaks off after `drop_first` bytes (0: never)."""
    ranges: list[str | None] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end = drop_first if drop_first and len(ranges) == 1 else len(body)
            self.wfile.write(body[start:end])

        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/UTKFace.tar.gz", ranges
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("drop", [0, 100])
def test_download_goes_on_after_a_dropped_connection(
    drop: int, good_tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(source, "WAIT_S", 0)
    cache = tmp_path / "c"
    with served(good_tar.read_bytes(), drop) as (url, ranges):
        monkeypatch.setattr(source, "TARBALL_URL", url)
        folder = source.find_utkface(None, None, cache)
        assert ranges == ([None, f"bytes={drop}-"] if drop else [None])
        assert source.find_utkface(None, None, cache) == folder == cache / "UTKFace"
        assert len(ranges) == 1 + bool(drop), "the second call must not download again"
    assert names_in(folder) == list(NAMES)
    assert names_in(cache) == ["UTKFace", "extracted"], "neither archive nor part is left"


def test_without_a_network_kaggle_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(source, "WAIT_S", 0)
    monkeypatch.setattr(source, "TARBALL_URL", "http://127.0.0.1:9/UTKFace.tar.gz")
    (tmp_path / "kaggle/UTKFace").mkdir(parents=True)
    asked = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        return str(tmp_path / "kaggle")

    fake = types.SimpleNamespace(dataset_download=dataset_download)
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    with caplog.at_level(logging.WARNING):
        assert source.find_utkface(None, None, tmp_path / "c") == tmp_path / "kaggle/UTKFace"
    assert asked == ["jangedoo/utkface-new/versions/1"]
    assert "could not download http://127.0.0.1:9/UTKFace.tar.gz" in caplog.text


def test_nothing_found_and_no_network_is_one_sentence_with_three_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(source, "WAIT_S", 0)
    monkeypatch.setattr(source, "TARBALL_URL", "http://127.0.0.1:9/UTKFace.tar.gz")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(InputError) as caught:
        source.find_utkface(None, None, tmp_path / "c")
    for way in ("data.root=FOLDER", "data.archive=UTKFace.tar.gz", "data=synthetic"):
        assert way in str(caught.value)

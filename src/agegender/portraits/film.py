"""Frames of a video file, one after the other, and an H.264 copy with other pixels; by PyAV."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from agegender.data.cache import Pixels
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.portraits.read import MAX_PIXELS

if TYPE_CHECKING:  # the package is an extra
    from av import VideoFrame

# containers by FFmpeg's names; no playlists, which would have it open other files and addresses
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg"
MISSING_END = 0.5  # seconds: tracks of whole files end by less before the time that the file says
QUALITY = {"crf": "20", "preset": "veryfast"}  # x264's own default is 23


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        number: 0 for the first.
        time: seconds from the first frame.
        pixels: (H, W, 3) uint8 RGB, upright, of square pixels.
    """

    number: int
    time: Fraction
    pixels: Pixels


class Film:
    """A video file, told by its content and not by its name.

    Args:
        path: the file.

    Attributes:
        rate: frames a second, on average.
        count: how many frames the file says it has, or what its duration says; None if neither.
        wrong: once the frames are read: why some are missing; empty if none are.

    Raises:
        InputError: if it cannot be used, or the extra `video` is not installed.
    """

    def __init__(self, path: Path) -> None:
        if importlib.util.find_spec("av") is None:
            raise InputError("videos need the extra video: pip install 'agegender[video]'")
        import av
        from av.stream import Disposition

        if not path.is_file():
            raise InputError(
                f"input={path} {'is not a file' if path.exists() else 'does not exist'}"
            )
        self.path, self.wrong = path, ""
        self._stream = path.open("rb")  # not by its name, which FFmpeg could take for an address
        try:
            self._box = av.open(self._stream, "r", options={"format_whitelist": CONTAINERS})
        except (OSError, ValueError) as error:
            self._stream.close()
            raise InputError(
                f"input={path} is not a video that can be read, or its index was cut off ({error})"
            ) from None
        # a cover is a video stream of one picture, too
        tracks = [
            s for s in self._box.streams.video if not s.disposition & Disposition.attached_pic
        ]
        if not tracks:
            self.close()
            raise InputError(f"input={path} has no pictures: it must have a video track")
        self._track = tracks[0]
        context, ratio = self._track.codec_context, self._track.sample_aspect_ratio
        width = max(context.width, round(context.width * ratio) if ratio else 0)
        if width * context.height > MAX_PIXELS:
            self.close()
            raise InputError(
                f"input={path}: frames of {width} x {context.height} pixels are too many"
                f" (at most {MAX_PIXELS:,})"
            )
        self.rate = Fraction(self._track.average_rate or self._track.guessed_rate or 25)
        self._seconds = (self._box.duration or 0) / av.time_base
        self.count = self._track.frames or round(self._seconds * self.rate) or None

    def __enter__(self) -> "Film":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if hasattr(self, "_box"):
            self._box.close()
        self._stream.close()

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """The first frame and each `every`-th after it; what is damaged is left out.

        A file can be read once. Few frames are in memory at a time.
        """
        first: Fraction | None = None
        size = None
        for number, frame in enumerate(self._decoded()):
            at = _time(frame, number, self.rate)
            first = at if first is None else first
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                self.wrong = f"the size of its frames changes after {number} frames"
                return
            if number % every == 0:
                yield Frame(number, at - first, _upright(frame, self._track.sample_aspect_ratio))

    def _decoded(self) -> Iterator["VideoFrame"]:
        """Whole frames; sets `wrong`."""
        import av

        damaged, end = 0, 0.0
        start = (self._box.start_time or 0) / av.time_base
        packets = self._box.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.FFmpegError:
                damaged += 1
                break
            if packet.pts is not None and packet.time_base:
                ends = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end = max(end, ends - start)
            if packet.stream.index != self._track.index:
                continue
            try:
                frames = self._track.decode(packet)
            except av.FFmpegError:
                damaged += 1
                continue
            damaged += sum(frame.is_corrupt for frame in frames)
            yield from (frame for frame in frames if not frame.is_corrupt)
        if self._seconds - end > MISSING_END:
            self.wrong = f"of its {self._seconds:.1f} seconds {end:.1f} could be read"
        elif damaged:
            self.wrong = f"{damaged} of its parts could not be read"


@contextmanager
def film_copy(path: Path, rate: Fraction) -> Iterator[Callable[[Image.Image, Fraction], None]]:
    """Write an MP4 file of H.264 without sound, whole or not at all.

    H.264 as every player reads it has even sides: an odd one gets a pixel more.

    Args:
        path: of the file.
        rate: frames a second, on average; each frame's time is kept.

    Yields:
        What adds a frame: an RGB picture and its time in seconds.
    """
    import av

    unit = Fraction(1, 90_000)  # of time; players know it from MPEG
    with whole_file(path) as temporary, av.open(str(temporary), "w", format="mp4") as box:
        track = box.add_stream("libx264", rate=rate, options=QUALITY)
        track.pix_fmt = "yuv420p"
        last = -1

        def add(picture: Image.Image, time: Fraction) -> None:
            nonlocal last
            odd = [(0, picture.height % 2), (0, picture.width % 2), (0, 0)]
            pixels = np.pad(np.asarray(picture), odd, mode="edge")
            if last < 0:
                track.height, track.width = pixels.shape[:2]
                track.codec_context.time_base = unit
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            last = max(round(time / unit), last + 1)
            frame.pts, frame.time_base = last, unit
            box.mux(track.encode(frame))

        yield add
        if last >= 0:
            box.mux(track.encode(None))


def _time(frame: "VideoFrame", number: int, rate: Fraction) -> Fraction:
    if frame.pts is None or frame.time_base is None:
        return number / rate
    return frame.pts * frame.time_base


def _upright(frame: "VideoFrame", ratio: Fraction | None) -> Pixels:
    """Turned as its display matrix says, of square pixels."""
    width = max(1, round(frame.width * ratio)) if ratio else frame.width
    drawn = frame.to_ndarray(format="rgb24", width=width, height=frame.height)
    pixels: Pixels = np.asarray(drawn, dtype=np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))

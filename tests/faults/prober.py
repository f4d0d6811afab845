"""Look at every picture of a folder in each way, and say how long it took and what it needed.

python -m tests.faults.prober FOLDER CHECKPOINT SECONDS DETECTORS, one JSON line a picture and way.
A picture that takes longer ends the process with a traceback: even in a C library, which no signal
stops.
"""

import faulthandler
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import agegender
from agegender.data.cache import prepare
from agegender.data.synthetic import portrait
from agegender.data.table import open_image

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(folder: Path, checkpoint: str, seconds: float, detectors: Sequence[str]) -> None:
    models = {name: agegender.load(checkpoint, detector=name) for name in detectors}
    for model in models.values():
        model.predict(portrait(0, 0)[1])  # what the first use needs is no picture's fault

    def by_data_path(file: Path) -> str:
        try:
            prepare(open_image(file.read_bytes(), file.name), 3, 64)
        except ValueError as error:
            return str(error)
        return ""

    def by(name: str) -> Callable[[Path], str]:
        return lambda file: str(models[name].predict(file)["error"].iloc[0])

    ways = {"data path": by_data_path, **{name: by(name) for name in detectors}}
    gc.freeze()  # all that is imported, so that collecting is quick
    base = _megabytes("VmRSS")
    for file in sorted(folder.iterdir()):
        for way, look in ways.items():
            faulthandler.dump_traceback_later(seconds, exit=True)
            gc.collect()
            CLEAR.write_text("5")  # the peak starts again from what is in use now
            start = time.perf_counter()
            said = look(file)
            took, peak = time.perf_counter() - start, _megabytes("VmHWM") - base
            faulthandler.cancel_dump_traceback_later()
            row = {"file": file.name, "way": way, "error": said, "seconds": took, "peak_mb": peak}
            print(json.dumps(row), flush=True)


def _megabytes(name: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:])

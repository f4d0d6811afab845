"""What the way from a portrait to its answer costs, by stages; writes portrait_speed.csv.

    python scripts/portrait_speed.py best.ckpt model.onnx model_int8.onnx \
        data.archive=UTKFace.tar.gz

The first file is a checkpoint, on whose test faces the others are measured too. Needs a machine
that does nothing else.
"""

import argparse
import os
from pathlib import Path

from hydra import compose, initialize_config_dir

from agegender import cli, config
from agegender.bench.portraits import measure
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.provenance import made_by

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="a checkpoint, then exported files; KEY=VALUE")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each (9)")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}))
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results", help="folder")
    given = parser.parse_args()
    words = [word for word in given.files if "=" in word]
    networks = [Path(word) for word in given.files if "=" not in word]
    if not networks:
        raise InputError("name a checkpoint, such as RUN/checkpoints/best.ckpt, before KEY=VALUE")
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("evaluate", [f"checkpoint={networks[0]}", *words, "output_dir=unused"])
    table = measure(cfg, networks, given.threads, given.repeats)
    with whole_file(given.out / "portrait_speed.csv") as temporary:
        about = {name: value for name, value in made_by().items() if name not in table}
        table.round(3).assign(**about).to_csv(temporary, index=False)
    print(table.round(2).to_string(index=False))


if __name__ == "__main__":
    cli.run(main)

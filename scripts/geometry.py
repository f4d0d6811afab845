"""Find and align real crops again, in scenes; write how far off they come out, and what it costs.

    python scripts/geometry.py data.archive=UTKFace.tar.gz

Of the shipped network, or another: checkpoint=RUN/checkpoints/best.ckpt. Every other word is one of
scripts/evaluate.py. Writes portrait.csv.
"""

import argparse
from pathlib import Path

from hydra import compose, initialize_config_dir

from agegender import cli, config
from agegender.data.files import whole_file
from agegender.geometry import check
from agegender.provenance import made_by

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=500, help="of the test part (500)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results", help="folder")
    given, words = parser.parse_known_args()
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        table = check(compose("evaluate", [*words, "output_dir=unused"]), given.faces)
    with whole_file(given.out / "portrait.csv") as temporary:
        table.round(4).assign(**made_by()).to_csv(temporary, index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    cli.run(main)

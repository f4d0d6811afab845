"""Audit the public UTKFace release anew and write what the project ships and publishes of it.

src/agegender/data/utkface_release.csv (digest, group and slice of every file) and
docs/results/copies_groups.csv (photographs that appear more than once, and their labels).
"""

import argparse
import sys
from pathlib import Path

from agegender.data.audit import group_table, said_of, unfit, work_out
from agegender.data.datamodule import default_cache_dir
from agegender.data.files import whole_file
from agegender.data.source import extract
from agegender.data.table import read_table
from agegender.errors import InputError

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="UTKFace.tar.gz, the public release")
    cache = default_cache_dir()
    try:
        faces = read_table(extract(parser.parse_args().archive, cache), cache)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    frame = work_out(faces, cache).assign(sha256=lambda f: f["sha256"].str[:12])
    groups = group_table(frame)
    shipped = frame.sort_values(["sha256", "file"])[["sha256", "group_id", "slice"]]
    # a face of its own is the rule: an empty group says so, and the file stays small
    shipped["group_id"] = shipped["group_id"].where(shipped["group_id"] != shipped["sha256"], "")
    with whole_file(ROOT / "src/agegender/data/utkface_release.csv") as temporary:
        temporary.write_text(
            f"# data digest {faces.digest}\n{shipped.to_csv(index=False)}", encoding="utf-8"
        )
    with whole_file(ROOT / "docs/results/copies_groups.csv") as temporary:
        groups.assign(left_out=unfit(groups)).to_csv(temporary, index=False)
    print(said_of(groups))
    return 0


if __name__ == "__main__":
    sys.exit(main())

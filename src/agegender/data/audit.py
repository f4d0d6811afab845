"""Which faces are one photograph, and whether their labels contradict each other."""

import hashlib
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.data.cache import open_pixels
from agegender.data.copies import CANDIDATE, COARSE, SAME, SIDE, VERSION, near_copies
from agegender.data.files import seal, unsealed, whole_folder
from agegender.data.table import Faces, release_table

log = logging.getLogger(__name__)
AGE_CONFLICT = 2  # years between two annotations of one photograph that contradict
AGE_TOLERANCE = 5  # years beyond which a group is not fit for training or testing
SLICES = 10
# lower edges of the age bins that are balanced over the slices, years
AGE_BINS = (0, 2, 5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80)


def group_faces(faces: Faces, cache_dir: Path, near: bool = True) -> Faces:
    """Give every face the group of its photograph, and the group its slice.

    For the public UTKFace release both are read from a table that the package brings, so that
    no decoder can move them; for other data they are worked out.

    Args:
        faces: their `group_id` may already join faces that a user knows to belong together.
        cache_dir: where what was found is kept.
        near: look for near copies, not only for exact ones.

    Returns:
        The faces with photo_id (the smallest digest of a photograph's files, 12 hex digits),
        group_id (the same, but for photographs that a user's groups join) and slice (0 to 9:
        tenths of the data, balanced by age and gender, that part no group).
    """
    release = release_table()
    short = faces.frame["sha256"].str[:12]
    if faces.digest == release.attrs["data_digest"] and (faces.frame["group_id"] == short).all():
        found = release.loc[short.to_numpy(dtype=object)]
        columns = {name: found[name].to_numpy() for name in ("group_id", "slice")}
        columns["photo_id"] = columns["group_id"]
        return replace(faces, frame=faces.frame.assign(**columns))
    return replace(faces, frame=work_out(faces, cache_dir, near))


def work_out(faces: Faces, cache_dir: Path, near: bool = True) -> pd.DataFrame:
    """The faces' frame with photo_id, group_id and slice, found anew from the files."""
    pairs = find_pairs(faces, cache_dir) if near else no_pairs()
    ungrouped = faces.frame.assign(group_id=faces.frame["sha256"])
    frame = faces.frame.assign(
        photo_id=connect(ungrouped, pairs), group_id=connect(faces.frame, pairs)
    )
    return frame.assign(slice=balanced_slices(frame))


def no_pairs() -> pd.DataFrame:
    """What `find_pairs` gives where there are none."""
    return pd.DataFrame(columns=["sha256_a", "sha256_b", "agreement", "mirrored"])


def find_pairs(faces: Faces, cache_dir: Path) -> pd.DataFrame:
    """Near copies among the faces' distinct pictures; kept below `cache_dir`.

    Returns:
        A row a pair: sha256_a, sha256_b (of the files' bytes), agreement (of the aligned
        pictures' fine detail, up to 1) and mirrored.
    """
    key = f"{VERSION} {SIDE} {CANDIDATE} {COARSE} {SAME} {faces.digest}"
    place = cache_dir / "audit" / hashlib.sha256(key.encode()).hexdigest()[:16]
    if unsealed(place) != {"key": key}:
        shutil.rmtree(place, ignore_errors=True)
        log.info("looking for near copies among %d faces", len(faces.frame))
        distinct = faces.frame.reset_index(drop=True).drop_duplicates("sha256")
        order = distinct.sort_values("sha256").index.to_numpy()  # not that of the file names
        digests = distinct["sha256"].loc[order].to_numpy()
        found = near_copies(open_pixels(faces, cache_dir, 1, SIDE)[order, 0])
        ends = {f"sha256_{end}": digests[found[end]] for end in ("a", "b")}
        table = found.assign(**ends, agreement=found["agreement"].round(4))
        with whole_folder(place) as temporary:
            table[no_pairs().columns].to_csv(temporary / "pairs.csv", index=False)
            seal(temporary, {"key": key})
    return pd.read_csv(place / "pairs.csv")


def connect(frame: pd.DataFrame, pairs: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Connected components of: same bytes, same `group_id` before, or a pair; (N,) ids."""
    digests = frame["sha256"].to_numpy()
    row_of = pd.Series(np.arange(len(frame)), index=digests)
    row_of = row_of[~row_of.index.duplicated()]
    joined = [
        (row_of.loc[digests].to_numpy(), np.arange(len(frame))),
        (row_of.loc[pairs["sha256_a"]].to_numpy(), row_of.loc[pairs["sha256_b"]].to_numpy()),
    ]
    known = frame["group_id"].to_numpy()
    first = pd.Series(np.arange(len(frame)), index=known)
    joined.append((first[~first.index.duplicated()].loc[known].to_numpy(), np.arange(len(frame))))
    a, b = (np.concatenate(ends).astype(np.int64) for ends in zip(*joined, strict=True))
    # every face takes the smallest rank that it is joined to, until nothing moves
    rank = np.argsort(np.argsort(digests, kind="stable"), kind="stable")
    while True:
        least = np.minimum(rank[a], rank[b])
        moved = rank.copy()
        np.minimum.at(moved, a, least)
        np.minimum.at(moved, b, least)
        if (moved == rank).all():
            return np.array([digest[:12] for digest in np.sort(digests)[rank]])
        rank = moved


def balanced_slices(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Tenths, (N,) of 0 to 9: within each age bin and gender, groups by id are cut evenly.

    Bins of fewer groups than tenths are cut as one, or their faces would all be trained on.
    """
    groups = frame.groupby("group_id").agg(age=("age_years", "median"), gender=("gender", "median"))
    bins = np.digitize(groups["age"], AGE_BINS)
    stratum = pd.Series(2 * bins + (groups["gender"].to_numpy() > 0.5), index=groups.index)
    few = stratum.map(stratum.value_counts()) < SLICES
    order = stratum.sort_values(kind="stable").index  # so that one of the few is like the next
    groups, cut = groups.loc[order], stratum.mask(few, -1).loc[order]
    strata = groups.groupby(cut)
    place = (strata.cumcount() + 0.5) / strata["age"].transform("size")
    of_face = (place * SLICES).astype(int).loc[frame["group_id"].to_numpy()]
    return np.array(of_face, dtype=np.int64)


def group_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Every photograph of two faces or more, and what its labels say.

    Returns:
        A row a photograph, by photo_id: n, exact (whether all have the same bytes), files, ages,
        genders and races (joined by blanks), age_range (years), and whether age (by more than 2
        years), gender or race contradict.
    """
    several = frame[frame["photo_id"].duplicated(keep=False)].sort_values(["photo_id", "file"])

    def told(values: pd.Series) -> str:
        return " ".join("?" if pd.isna(v) else f"{v:g}" for v in values)

    groups = several.groupby("photo_id")
    table = pd.DataFrame(
        {
            "n": groups.size(),
            "exact": groups["sha256"].nunique() == 1,
            "age_range": groups["age_years"].max() - groups["age_years"].min(),
            "age_conflict": False,
            "gender_conflict": groups["gender"].nunique() > 1,
            "race_conflict": groups["race"].nunique() > 1,
            "ages": groups["age_years"].agg(told),
            "genders": groups["gender"].agg(told),
            "races": groups["race"].agg(told),
            "files": groups["file"].agg(" ".join),
        }
    )
    table["age_conflict"] = table["age_range"] > AGE_CONFLICT
    return table.reset_index()


def unfit(groups: pd.DataFrame) -> pd.Series:
    """Which rows of a `group_table` contradict too much to be learned from or tested on."""
    return groups["gender_conflict"] | (groups["age_range"] > AGE_TOLERANCE)


def said_of(groups: pd.DataFrame) -> str:
    """The table in one sentence."""
    conflicts = groups[["age_conflict", "gender_conflict", "race_conflict"]]
    return (
        f"{len(groups)} photographs appear more than once, in {groups['n'].sum()} files"
        f" ({groups['exact'].sum()} as exact copies only); {conflicts.any(axis=1).sum()} contradict"
        f" themselves: {groups['age_conflict'].sum()} in age by more than {AGE_CONFLICT} years,"
        f" {groups['gender_conflict'].sum()} in gender, {groups['race_conflict'].sum()} in race"
    )

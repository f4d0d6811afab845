"""Runs side by side on the same faces, with paired intervals of their differences."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from agegender.bootstrap import METRICS, Values, face_metrics, interval, once, resample
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.reports import decision_figures as figures
from agegender.reports import groups as grouped
from agegender.reports.data_tables import labelled
from agegender.reports.page import page, pictures, png, table, text
from agegender.reports.predictions import answered, read_predictions
from agegender.reports.sections import ranged, shown

COMPARED = ("age_mae", "gender_acc")
LEAD = (
    "The same faces, told by each run. Differences are to the first run, with 95 % intervals by"
    " 1,000 resamples of photographs, the same for all runs: one that holds 0 says that these faces"
    " cannot tell the two apart. Labels are annotated, apparent age and binary gender."
)


class Run(NamedTuple):
    """A run's predictions of one part, sorted by file."""

    name: str
    rows: pd.DataFrame
    split_hash: str | None


def read_run(place: Path, part: str) -> Run:
    """A run's folder, or a file of predictions.

    Raises:
        InputError: if there are no predictions of the part.
    """
    file = place / "predictions.csv" if place.is_dir() else place
    table = read_predictions(file)
    rows = answered(table[table["part"] == part]).sort_values("file").reset_index(drop=True)
    if rows.empty:
        raise InputError(f"{file} has no predicted face in its {part} part")
    split_hash = None
    about = file.with_name("metrics.json")
    if file.name == "predictions.csv" and about.is_file():
        try:
            split_hash = json.loads(about.read_text(encoding="utf-8"))["run"].get("split_hash")
        except (ValueError, KeyError) as error:
            raise InputError(f"{about} cannot be read: {error}") from None
    name = place.name if place.is_dir() else file.parent.name
    if place.is_file() and file.name != "predictions.csv":
        name = file.stem
    return Run(name, rows, split_hash)


def read_runs(places: Sequence[Path], part: str) -> list[Run]:
    """Two runs or more, of the same split and the same faces.

    Raises:
        InputError: if they are not.
    """
    if len(places) < 2:
        raise InputError(f"runs: {len(places)} given, at least two are compared: runs=[A,B]")
    runs = [read_run(place, part) for place in places]
    if len({run.name for run in runs}) < len(runs):
        runs = [run._replace(name=f"{run.name} ({k})") for k, run in enumerate(runs, 1)]
    first = runs[0]
    for place, run in zip(places[1:], runs[1:], strict=True):
        hashes = first.split_hash, run.split_hash
        if None not in hashes and len(set(hashes)) > 1:
            raise InputError(
                f"{place} has the split {run.split_hash}, {places[0]} has {first.split_hash}:"
                f" figures of different splits cannot be compared. Score one on the other's with"
                f" scripts/evaluate.py"
            )
        labels = ["file", "age_years", "gender"]
        if not first.rows[labels].equals(run.rows[labels]):
            raise InputError(
                f"{place} and {places[0]} do not have the same faces with the same labels in their"
                f" {part} part ({len(run.rows)} and {len(first.rows)} faces)"
            )
    return [first._replace(rows=_with_known(runs)), *runs[1:]]


def _with_known(runs: Sequence[Run]) -> pd.DataFrame:
    """The first run's rows, with the photographs and races that any of the runs knows."""
    rows = runs[0].rows
    for run in runs:
        if not run.rows["group_id"].equals(run.rows["file"].astype(str)):
            rows = rows.assign(group_id=run.rows["group_id"])
            break
    return rows.assign(race=next((r.rows["race"] for r in runs if r.rows["race"].notna().any()),
                                 rows["race"]))  # fmt: skip


def by_metric(runs: Sequence[Run], weights: Values) -> pd.DataFrame:
    """A row a run and metric: run, metric, value, difference, lo, hi (to the first run)."""
    own = [face_metrics(run.rows, once(len(run.rows))).iloc[0] for run in runs]
    drawn = [face_metrics(run.rows, weights) for run in runs]
    found = []
    for run, values, draws in zip(runs, own, drawn, strict=True):
        for metric in METRICS:
            low, high = interval((draws[metric] - drawn[0][metric]).to_numpy())
            change = values[metric] - own[0][metric]
            found.append((run.name, metric, values[metric], change, low, high))
    return pd.DataFrame(found, columns=["run", "metric", "value", "difference", "lo", "hi"])


def by_group(runs: Sequence[Run], weights: Values) -> pd.DataFrame:
    """The same for age and gender of each group by age, gender and race.

    Returns:
        run, group, n, judged (at least 30 faces), metric, value, difference, lo, hi.
    """
    named, found = labelled(runs[0].rows), []
    cuts: list[tuple[str, ...]] = [(), *((name,) for name in grouped.factors(runs[0].rows))]
    for cut in cuts:
        for key, place in grouped.members(named, cut):
            mine = [run._replace(rows=run.rows.iloc[place]) for run in runs]
            few = by_metric(mine, weights[:, place])
            few = few[few["metric"].isin(COMPARED)]
            few.insert(1, "group", ", ".join(key) or "all")
            few.insert(2, "n", len(place))
            few.insert(3, "judged", len(place) >= grouped.FEW)
            found.append(few)
    return pd.concat(found, ignore_index=True)


def compare(places: Sequence[Path], part: str, folder: Path) -> str:
    """Write `compare.html`, and its tables and figures into `compare/`.

    Returns:
        The metrics' table for a terminal.

    Raises:
        InputError: if the runs cannot be compared.
    """
    runs = read_runs(places, part)
    names = [run.name for run in runs]
    weights = resample(runs[0].rows["group_id"])
    tables = {"metrics": by_metric(runs, weights), "groups": by_group(runs, weights)}
    judged = tables["groups"][tables["groups"]["judged"]]
    drawn = {metric: png(figures.differences(judged, metric, names)) for metric in COMPARED}
    for name, frame in tables.items():
        with whole_file(folder / "compare" / f"{name}.csv") as temporary:
            frame.round(6).to_csv(temporary, index=False)
    for name, data in drawn.items():
        with whole_file(folder / "compare" / f"{name}.png") as temporary:
            temporary.write_bytes(data)
    readable = _side_by_side(tables["metrics"], names)
    n = len(runs[0].rows)
    same = "" if all(run.split_hash for run in runs) else (
        " Not every run says which split it is of; that they have the same faces was checked."
    )  # fmt: skip
    groups = (
        table(_groups_side_by_side(judged, names))
        if len(judged)
        else text(f"No group has {grouped.FEW} faces, so none is judged.")
    )
    sections = [
        ("Metrics", text(f"{n:,} faces of the {part} part.{same}") + table(readable)),
        (
            "Groups",
            pictures([(data, name) for name, data in drawn.items()])
            + groups
            + text(
                "*: the interval does not hold 0. Of many groups one in twenty does so by luck."
                " Groups of fewer than 30 faces stand in groups.csv only.",
                note=True,
            ),
        ),
    ]
    with whole_file(folder / "compare.html") as temporary:
        temporary.write_text(
            page(f"Compared: {', '.join(names)}", LEAD, sections), encoding="utf-8"
        )
    return readable.to_string(index=False)


def _side_by_side(found: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    columns = {"metric": list(METRICS.values())}
    for name in names:
        mine = found[found["run"] == name]
        columns[name] = [shown(r.metric, r.value) for r in mine.itertuples()]  # type: ignore[arg-type]
        if name != names[0]:
            columns[f"{name} - {names[0]}"] = [
                ranged(r.metric, r.difference, r.lo, r.hi, points=True) for r in mine.itertuples()  # type: ignore[arg-type]
            ]  # fmt: skip
    return pd.DataFrame(columns)


def _groups_side_by_side(found: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    rows = []
    for (metric, group), mine in found.groupby(["metric", "group"], sort=False):
        row = {"figure": METRICS[str(metric)], "group": group, "faces": int(mine["n"].iloc[0])}
        for name in names:
            r = mine[mine["run"] == name].iloc[0]
            row[name] = shown(str(metric), r["value"])
            if name != names[0]:
                told = ranged(str(metric), r["difference"], r["lo"], r["hi"], points=True)
                sure = "" if r["lo"] <= 0 <= r["hi"] else " *"
                row[f"{name} - {names[0]}"] = told + sure
        rows.append(row)
    return pd.DataFrame(rows).sort_values("figure", kind="stable")

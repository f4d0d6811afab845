"""`MODEL_CARD.md`, made from what a run and its report have left; never written by hand."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.bootstrap import METRICS
from agegender.command import for_anybody
from agegender.errors import InputError
from agegender.reports.groups import FEW
from agegender.reports.sections import ranged, shown

# what an evaluation and the training must agree on
SAME = ("name", "model", "loss", "seed", "data_digest", "split_hash", "duplicates")
USE = """\
## Intended use

Research on reading age and gender from faces: as a baseline, for teaching, for studies of where
such networks fail. What it says is about pictures like those of its data: one face, cropped and
upright.

## Misuse

Not for deciding anything about a person: not age checks, access, hiring, policing, insurance,
advertising to individuals or surveillance. It must not be used to say what somebody's gender is: it
says which of two labels annotators would have given to a picture. It does not recognise people.
"""
DATA = """\
## Data

UTKFace (Zhang, Song and Qi 2017): about 23,700 face crops from the web, for non-commercial research
only. Weights that were trained on it should be taken to be bound by the same terms; the code has a
licence of its own. The pictures belong to their owners. Labels are *apparent* age in years and
*binary* gender, guessed by a program and corrected by annotators, race one of five names. They are
not what people are or say of themselves, and some are wrong (`docs/labels.md`).
"""
LIMITS = """\
## Limits

- Groups are not served alike: before use on people of one kind, read their row above.
- Intervals promise their coverage over all faces together and for faces drawn like the
  validation part: of other cameras, crops or people they promise nothing.
- The split knows photographs that appear more than once (`docs/duplicates.md`), but not people:
  the data does not say who is who, so somebody may be on both sides in different photographs.
- One data set, one split: the intervals above are of drawing faces, not of training again.
"""


def model_card(run: Path, evaluation: Path | None = None) -> str:
    """The card of a finished training.

    Args:
        run: its folder, with `metrics.json` and, unless an evaluation is given, `report/`.
        evaluation: a folder of `scripts/evaluate.py` whose report is to be told instead, such as
            one with robustness.

    Raises:
        InputError: if something is missing, or the evaluation is of another network, other data or
            another split, or of the train part.
    """
    about = _metrics(run)["run"]
    if "parameters" not in about:
        raise InputError(f"{run} is an evaluation: give the training's folder, and this one with"
                         f" --evaluation")  # fmt: skip
    place = evaluation or run
    scored = _metrics(place)["run"]
    for name in SAME:
        if scored.get(name) != about[name]:
            raise InputError(
                f"{place} says {name}={scored.get(name)}, {run} {about[name]}: evaluate the run's"
                f" own best.ckpt on its own split"
            )
    if scored["part"] == "train":
        raise InputError(f"{place} is of the train part: evaluate part=test")
    names = ("headline", "groups", "coverage", "temperature")
    tables = {name: _table(place, name) for name in names}
    robust = place / "report" / "robustness.csv"
    parts = [
        f"# Model card: {about['name']}\n",
        "Written by `scripts/model_card.py` from the run's own files; not by hand.\n",
        f"Reads apparent age (years) and binary gender from a face crop: backbone"
        f" `{about['model']}`, age loss `{about['loss']}`, {about['parameters']:,} parameters.\n",
        USE,
        DATA,
        f"Split `{about['split']}`, hash `{about['split_hash']}`, duplicates"
        f" `{about['duplicates']}`, data digest `{about['data_digest']}`.\n",
        _figures(tables, scored),
        _robustness(pd.read_csv(robust)) if robust.is_file() else "",
        LIMITS,
        _reproduce(about),
    ]
    return "\n".join(words for words in parts if words)


def _metrics(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        assert "run" in found
    except (OSError, ValueError, AssertionError):
        raise InputError(
            f"{folder} is no finished run or evaluation: no metrics.json in it"
        ) from None
    return found


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / "report" / f"{name}.csv"
    if not path.is_file():
        raise InputError(f"{path} does not exist: score the run with scripts/evaluate.py")
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def _figures(tables: dict[str, pd.DataFrame], scored: dict[str, Any]) -> str:
    part, level = scored["part"], scored["level"]
    n = int(tables["groups"].query("by == 'all'")["n"].iloc[0])
    lines = [
        f"## Figures: {part} part, {n:,} faces\n",
        "| figure | value (95 % interval) | trivial guess |",
        "|---|---|---|",
    ]
    for r in tables["headline"].itertuples():
        name, trivial = str(r.metric), float(r.trivial)  # type: ignore[arg-type]
        told = ranged(name, float(r.value), float(r.lo), float(r.hi))  # type: ignore[arg-type]
        lines.append(f"| {METRICS[name]} | {told} | {shown(name, trivial)} |")
    cover, cooled = tables["coverage"].iloc[0], tables["temperature"].iloc[-1]
    lines.append(
        f"\nIntervals of {level:.0%} hold {cover['coverage']:.1%} of the annotated ages and are"
        f" {cover['width']:.1f} years wide on average. Expected calibration error of gender:"
        f" {tables['temperature'].iloc[0]['ece']:.2%}, with a temperature of"
        f" {cooled['temperature']:.2f} {cooled['ece']:.2%}. Both were {scored['intervals']}.\n"
    )
    return "\n".join(lines) + "\n" + _groups(tables["groups"], tables["coverage"])


def _groups(groups: pd.DataFrame, coverage: pd.DataFrame) -> str:
    lines = [
        "## Figures by group\n",
        "| group | faces | age MAE (years) | mean error (years) | gender accuracy | coverage |",
        "|---|---|---|---|---|---|",
    ]
    held = coverage[coverage["by"] != "predicted age"].set_index("group")["coverage"]
    for _, row in groups[groups["by"].isin(["age", "gender", "race"])].iterrows():
        told = [
            ranged(name, row[name], row[f"{name}_lo"], row[f"{name}_hi"])
            for name in ("age_mae", "age_bias", "gender_acc")
        ]
        few = "" if row["n"] >= FEW else " (too few to judge)"
        lines.append(
            f"| {row['group']}{few} | {row['n']:,} | {' | '.join(told)}"
            f" | {held[row['group']]:.1%} |"
        )
    return "\n".join(lines) + "\n"


def _robustness(measured: pd.DataFrame) -> str:
    lines = [
        "## Disturbed pictures\n",
        f"{measured['n'].iloc[0]:,} faces of the part, drawn at random.\n",
        "| disturbance | worst at | age MAE (years) | gender accuracy |",
        "|---|---|---|---|",
    ]
    clean = measured[measured["clean"]].iloc[0]
    lines.append(f"| none | | {clean['age_mae']:.2f} | {clean['gender_acc']:.1%} |")
    worst = measured.loc[measured.groupby("disturbance", sort=False)["age_mae"].idxmax()]
    for _, row in worst.iterrows():
        lines.append(
            f"| {row['disturbance']} | {row['strength']:g} ({row['unit']}) |"
            f" {row['age_mae']:.2f} | {row['gender_acc']:.1%} |"
        )
    return "\n".join(lines) + "\n"


def _reproduce(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {about[name]}" for name in ("agegender", "torch", "lightning"))
    command = for_anybody(about["command"])
    return (
        f"## How to reproduce\n\n    git checkout {about['commit']}\n    {command}\n\nSeed"
        f" {about['seed']}, precision {about['precision']}, {about['epochs']} epochs (the best:"
        f" {about['best_epoch']}); {versions}; {about['cpu']}, {about['wall_minutes']:.0f}"
        f" minutes.\n"
    )

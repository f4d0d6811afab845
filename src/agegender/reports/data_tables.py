"""What is in a data set, as tables."""

import numpy as np
import pandas as pd

from agegender.figures import GENDERS

RACES = ("White", "Black", "Asian", "Indian", "Other")  # UTKFace's own codes 0 to 4
DECADES = (0, 10, 20, 30, 40, 50, 60, 70, 80)


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """The faces with the columns gender_name, race_name ("not said" if missing) and decade."""
    decade = pd.cut(frame["age_years"], [*DECADES, np.inf], right=False, labels=_decade_names())
    return frame.assign(
        gender_name=frame["gender"].map(dict(enumerate(GENDERS))),
        race_name=frame["race"].map(dict(enumerate(RACES))).fillna("not said"),
        decade=decade,
    )


def _decade_names() -> list[str]:
    return [f"{start}-{start + 9}" for start in DECADES[:-1]] + [f"{DECADES[-1]}+"]


def race_names(faces: pd.DataFrame) -> list[str]:
    """The names that occur, in the order of the codes."""
    return [name for name in (*RACES, "not said") if (faces["race_name"] == name).any()]


def counts(faces: pd.DataFrame) -> pd.DataFrame:
    """Faces by decade of age (rows) and by race and gender (columns), with sums."""
    table = pd.crosstab(
        faces["decade"], [faces["race_name"], faces["gender_name"]], dropna=False
    ).reindex(
        index=_decade_names(),
        columns=pd.MultiIndex.from_product([race_names(faces), GENDERS]),
        fill_value=0,
    )
    table.columns = [", ".join(names) for names in table.columns]
    table["all"] = table.sum(axis=1)
    table.loc["all"] = table.sum()
    return table.rename_axis("age (years)").reset_index()


def age_counts(faces: pd.DataFrame) -> pd.DataFrame:
    """A row a year of age that occurs: age_years, male, female, n and share."""
    year = faces["age_years"].round().astype(int).rename("age_years")
    table = pd.crosstab(year, faces["gender_name"]).reindex(columns=GENDERS, fill_value=0)
    table["n"] = table.sum(axis=1)
    table["share"] = (table["n"] / table["n"].sum()).round(5)
    return table.rename_axis(columns=None).reset_index()


def whipple(ages: pd.DataFrame) -> float:
    """Whipple's index of age heaping of an `age_counts` table.

    Five times the share of ages ending in 0 or 5 among those from 23 to 62, in percent: 100
    means no preference, 500 that nothing else occurs (United Nations, Demographic Yearbook).
    NaN if none is of such an age.
    """
    adult = ages[ages["age_years"].between(23, 62)]
    ending = adult["age_years"] % 5 == 0
    total = adult["n"].sum()
    return float(500 * adult.loc[ending, "n"].sum() / total) if total else float("nan")


def parts(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a part of the split, and those left out: sizes and balance."""
    rows = []
    for part, name in (("train", "train"), ("val", "val"), ("test", "test"), ("", "left out")):
        mine = frame[frame["part"] == part]
        if mine.empty:
            continue
        race = mine["race_name"].value_counts(normalize=True)
        rows.append(
            {
                "part": name,
                "faces": len(mine),
                "photographs": mine["photo_id"].nunique(),
                "share": f"{len(mine) / len(frame):.1%}",
                "female": f"{(mine['gender'] == 1).mean():.1%}",
                "median age": f"{mine['age_years'].median():g}",
                "mean age": f"{mine['age_years'].mean():.2f}",
                **{name: f"{race.get(name, 0):.1%}" for name in race_names(frame)},
            }
        )
    return pd.DataFrame(rows)


def measures(faces: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Quantiles of the pictures' measures."""
    quantiles = {"1 %": 0.01, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "99 %": 0.99}
    rows = [
        {"measure": name, **{q: f"{faces[name].quantile(at):.1f}" for q, at in quantiles.items()}}
        for name in names
    ]
    return pd.DataFrame(rows)

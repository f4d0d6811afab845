"""A user's own faces: a CSV of paths and labels."""

from pathlib import Path

import pandas as pd

from agegender.data.files import FORMULA
from agegender.errors import InputError

NEEDED = ("path", "age", "gender")
OPTIONAL = ("race", "group")


def read_labels(csv: Path) -> pd.DataFrame:
    """Read and check a CSV with the columns path, age, gender and, if known, race and group.

    Args:
        csv: path is relative to the CSV's own folder, or absolute; age is 0 to 120 years;
            gender 0 (male) or 1 (female); race 0 to 4 as in UTKFace, or empty; faces of one
            group (of one person, say) never part, and an empty group is none.

    Returns:
        One row a face in path order: file (as written in the CSV), age_years, gender, race
        (or missing), group (text, "" for none).

    Raises:
        InputError: with every kind of mistake found, and where the first of each stands.
    """
    try:
        table = pd.read_csv(csv, dtype=str, keep_default_na=False, skipinitialspace=True)
    except FileNotFoundError:
        raise InputError(f"data.csv={csv} does not exist") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read data.csv={csv}: {error}") from None
    _check_columns(table, csv)
    for name in OPTIONAL:
        if name not in table:
            table[name] = ""
    age = pd.to_numeric(table["age"], errors="coerce")
    _check_rows(table, age, csv)
    labels = pd.DataFrame(
        {
            "file": table["path"],
            "age_years": age.astype("float32"),
            "gender": table["gender"].astype("int8"),
            "race": pd.to_numeric(table["race"].replace("", None)).astype("Int8"),
            "group": table["group"],
        }
    )
    return labels.sort_values("file", ignore_index=True)


def _check_columns(table: pd.DataFrame, csv: Path) -> None:
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise InputError(
            f"data.csv={csv} lacks the column {' and '.join(missing)}: it needs"
            f" {', '.join(NEEDED)}, and may have {' and '.join(OPTIONAL)}"
        )
    if table.empty:
        raise InputError(f"data.csv={csv} has no rows")


def _check_rows(table: pd.DataFrame, age: "pd.Series[float]", csv: Path) -> None:
    exists = table["path"].map(lambda path: bool(path) and (csv.parent / path).is_file())
    wrong = {
        "path": (~exists, "is no file (relative to the CSV's folder)"),
        "path ": (table["path"].duplicated(), "stands in it more than once"),
        "path  ": (
            table["path"].str.startswith(FORMULA),
            "would be computed by spreadsheets that open what is written: put ./ before it",
        ),
        "age": (~age.between(0, 120), "is not a number of years from 0 to 120"),
        "gender": (~table["gender"].isin(["0", "1"]), "is neither 0 (male) nor 1 (female)"),
        "race": (~table["race"].isin(["", *"01234"]), "is not 0 to 4, or empty"),
    }
    mistakes = []
    for name, (rows, what) in wrong.items():
        if rows.any():
            first = rows.to_numpy().argmax()
            more = f" (and {rows.sum() - 1} more rows)" if rows.sum() > 1 else ""
            value = table[name.strip()].iloc[first]
            mistakes.append(f"line {first + 2}: {name.strip()} {value!r} {what}{more}")
    if mistakes:
        raise InputError(f"data.csv={csv}: " + "; ".join(mistakes))

"""Anybody's table of predictions, checked."""

from pathlib import Path

import numpy as np
import pandas as pd

from agegender.data.files import as_cells
from agegender.errors import InputError

NEEDED = ("file", "age_years", "age_pred", "gender", "p_female")
RANGES = {
    "age_years": (0.0, 150.0),
    "age_pred": (-np.inf, np.inf),
    "gender": (0.0, 1.0),
    "p_female": (0.0, 1.0),
    "age_sd": (0.0, np.inf),
    "age_lo": (-np.inf, np.inf),
    "age_hi": (-np.inf, np.inf),
    "race": (0.0, 4.0),
}
# a system may say nothing of a face; labels of age and gender are there
MAY_MISS = set(RANGES) - {"age_years", "gender"}
NO, YES = {"false", "0", "0.0"}, {"true", "1", "1.0"}


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a `predictions.csv`; what another system does not know may be missing.

    Columns that must be there: file, age_years, age_pred, gender (0 male, 1 female), p_female.
    Filled in where they are missing: part (all test), group_id (each face its own), copy_in_train
    (none), age_sd and race (not said).

    Raises:
        InputError: if the file cannot be read, lacks a column, has a value out of its range, or
            a face twice in a part.
    """
    where = f"predictions={path}"
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {where}: {error}") from None
    table = as_cells(table)  # it is written again, and must not bring formulas along
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise InputError(f"{where} lacks the column {' and '.join(missing)}")
    if table.empty:
        raise InputError(f"{where} has no rows")
    for name in RANGES.keys() & set(table):
        table[name] = _numbers(table[name], where)
    for name, allowed in (("gender", "0 (male) or 1 (female)"), ("race", "0, 1, 2, 3 or 4")):
        wrong = table[name].mod(1) > 0 if name in table else pd.Series(False)
        if wrong.any():
            raise InputError(_at(where, table[name], wrong, allowed))
    for name, value in (
        ("part", "test"), ("group_id", table["file"]), ("copy_in_train", False),
        ("age_sd", np.nan), ("race", np.nan),
    ):  # fmt: skip
        if name not in table:
            table[name] = value
    table["gender"] = table["gender"].astype(int)
    table["copy_in_train"] = _booleans(table["copy_in_train"], where)
    table["group_id"] = table["group_id"].astype(object).fillna(table["file"]).astype(str)
    twice = table.duplicated(["file", "part"])
    if twice.any():
        raise InputError(f"{where} has {table['file'][twice].iloc[0]!r} twice in one part")
    return table


def _numbers(column: pd.Series, where: str) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    low, high = RANGES[str(column.name)]
    wrong = ~numbers.between(low, high) & ~(column.isna() & (column.name in MAY_MISS))
    if wrong.any():
        within = f"a number from {low:g} to {high:g}" if np.isfinite(low) else "a number"
        raise InputError(_at(where, column, wrong, within))
    return numbers.replace([np.inf, -np.inf], np.nan)


def _booleans(column: pd.Series, where: str) -> pd.Series:
    said = column.astype(object).fillna(False).astype(str).str.lower()
    wrong = ~said.isin(NO | YES)
    if wrong.any():
        raise InputError(_at(where, column, wrong, "true or false"))
    return said.isin(YES)


def _at(where: str, column: pd.Series, wrong: pd.Series, allowed: str) -> str:
    row = int(wrong.to_numpy().argmax())
    return f"{where}, line {row + 2}: {column.name}={column.iloc[row]} is not {allowed}"


def answered(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that have a prediction."""
    return rows.dropna(subset=["age_pred", "p_female"])

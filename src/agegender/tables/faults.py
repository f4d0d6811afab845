"""What was tried against runs, files and pictures, and what came out."""

from pathlib import Path

import pandas as pd

WAYS = {"data path": "data path", "none": "detector=none", "mtcnn": "detector=mtcnn"}
HOSTILE = r"a checkpoint|an archive|a link|a CSV|a formula|markup"
# what differs from trial to trial, and what stands for it
ONE_KIND = (
    (r"^SIG(?:KILL|TERM): (\w+), at .* of its time, (.*)$", r"SIGKILL or SIGTERM \2: \1"),
    (r"^(damage: .*), \w+$", r"\1"),
    (r", \d+ bytes free$", ""),
    (r" number \d+$", ""),
    (r"^an archive of a million members.*", "an archive of a million members"),
)
ONE_OUTCOME = (
    (r"^(?:ended|stopped) within [\d.]+ s, ", ""),
    (r"^saved after step \d+", "saved after that step"),
    (r", \d+ MB in all$", ""),
    (r" \([^)]*\)", ""),
    (r"holds (\w+), its name says \w+", "holds another format than its name says"),
)


def faults_table(faults: Path) -> str:
    """Kills, damage, full disks and the like: a row each, with how often what came out.

    Args:
        faults: `faults.csv`: what, when, seed and outcome of each trial.
    """
    table = _read(faults)
    return _counts(table[~table["what"].str.match(rf"images?, |page: |{HOSTILE}")])


def hostile_table(faults: Path) -> str:
    """Hostile checkpoints, archives and tables, as `faults_table`."""
    table = _read(faults)
    return _counts(table[table["what"].str.match(HOSTILE)])


def page_table(faults: Path) -> str:
    """The page under load and abuse, as `faults_table`: a row for each kind of trial."""
    table = _read(faults)
    page = table[table["what"].str.startswith("page: ")]
    kinds = page["what"].str.removeprefix("page: ").str.split(": ").str[0]
    return _counts(page.assign(what=kinds))


def images_table(faults: Path) -> str:
    """Spoilt pictures: what came out of each way, a row an outcome."""
    table = _read(faults)
    pictures = table[table["what"].str.startswith("image, ")]
    way = pictures["what"].str.rpartition(": ")[2].map(WAYS)
    counts = pd.crosstab(pictures["outcome"], way)[list(WAYS.values())]
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]
    lines = [
        f"| {len(pictures) // len(WAYS):,} pictures | {' | '.join(WAYS.values())} |",
        f"|---{'|---' * len(WAYS)}|",
    ]
    for outcome, row in counts.iterrows():
        lines.append(f"| {outcome} | {' | '.join(f'{n:,}' if n else '' for n in row)} |")
    most = table[table["what"].str.startswith("images, the ")]
    lines.append("")
    for what, outcome in zip(most["what"], most["raw"], strict=True):
        lines.append(f"- {what.removeprefix('images, ')}: {outcome}")
    return "\n".join(lines)


def _read(faults: Path) -> pd.DataFrame:
    table = pd.read_csv(faults)
    table["raw"] = table["outcome"]
    for column, rules in (("what", ONE_KIND), ("outcome", ONE_OUTCOME)):
        for pattern, kept in rules:
            table[column] = table[column].str.replace(pattern, kept, regex=True)
    return table


def _counts(table: pd.DataFrame) -> str:
    lines = ["| what | trials | what came out |", "|---|---|---|"]
    for what, trials in table.groupby("what"):
        outcomes = trials["outcome"].value_counts()
        told = "; ".join(
            str(outcome) if len(outcomes) == 1 else f"{count} {outcome}"
            for outcome, count in outcomes.items()
        )
        lines.append(f"| {what} | {len(trials):,} | {told} |")
    lines.append(f"| **all** | {len(table):,} | |")
    return "\n".join(lines)

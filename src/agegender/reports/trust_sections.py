"""A report's sections about trust: intervals, probabilities, decisions."""

import numpy as np
import pandas as pd

from agegender import calibration as probabilities
from agegender.intervals import Calibration, with_bounds
from agegender.reports import coverage as cover
from agegender.reports import decision_figures as decisions
from agegender.reports import evaluation_figures as figures
from agegender.reports import operating
from agegender.reports.groups import FEW
from agegender.reports.page import pictures, png, table, text, worst
from agegender.reports.sections import Evaluation, Section


def intervals(of: Evaluation) -> Section:
    """Whether intervals hold what they promise."""
    title = "Intervals of age"
    missing = len(of.rows) if "age_lo" not in of.rows else int(of.rows["age_lo"].isna().sum())
    if missing == len(of.rows):
        return Section(title, text(f"There are none: {of.calibrated}."), {}, {})
    if missing:
        told = f"{missing:,} of {len(of.rows):,} faces have none, so their coverage is not told."
        return Section(title, text(told), {}, {})
    if not np.isfinite(of.rows["age_hi"]).all():
        told = f"Too few validation faces for a level of {of.level:.0%}: {of.calibrated}."
        return Section(title, text(told), {}, {})
    found = cover.coverage(of.rows, of.weights, of.level)
    tables = {"coverage": found}
    drawn = {"coverage": png(figures.coverage(found, of.level))}
    whole = found.iloc[0]
    body = text(
        f"Of {len(of.rows):,} annotated ages {whole['coverage']:.1%} (95 % interval"
        f" {whole['lo']:.1%} to {whole['hi']:.1%}) lie within their interval; promised are"
        f" {of.level:.0%}. The intervals are {whole['width']:.1f} years wide on average."
        f" They were {of.calibrated}."
    )
    body += worst([_missing(found, of.level)])
    if of.calibration:
        more, tables["levels"], drawn["widths"] = _levels(of, of.calibration)
        body += pictures(
            [(drawn["coverage"], "coverage by group"), (drawn["widths"], "width by age")]
        )
        body += more
    else:
        body += pictures([(drawn["coverage"], "coverage by group")])
    if of.calibration and len(of.val):
        more, tables["recuts"], drawn["recuts"] = _recuts(of, tables["levels"])
        body += more
    return Section(title, body, tables, drawn)


def _missing(found: pd.DataFrame, level: float) -> str:
    """The groups that do not get what was promised, in a sentence or two."""
    missing = found[found["misses"]].sort_values("coverage")

    def names(rows: pd.DataFrame) -> str:
        told = []
        for row in rows.itertuples():
            said = "said to be " if row.by == "predicted age" else ""
            name = "all faces" if row.by == "all" else f"{said}{row.group}"
            told.append(f"{name} ({row.coverage:.0%})")
        return ", ".join(told)

    short, more = (missing[missing["coverage"] < level], missing[missing["coverage"] >= level])
    told = f"Less than promised for: {names(short)}." if len(short) else (
        f"No group of at least {FEW} faces has clearly less than was promised."
    )  # fmt: skip
    return told + (f" More for: {names(more)}." if len(more) else "")


def _levels(of: Evaluation, calibration: Calibration) -> tuple[str, pd.DataFrame, bytes]:
    levels = cover.by_level(of.rows, of.weights, calibration, of.level)
    plain = with_bounds(of.rows, calibration, of.level, "plain")
    whole_width = float(2 * (plain["age_hi"] - plain["age_pred"]).iloc[0])
    drawn = png(figures.widths(of.rows, whole_width, of.level))
    readable = pd.DataFrame(
        {
            "promised": [f"{r.level:.0%}" for r in levels.itertuples()],
            "intervals": levels["intervals"],
            "coverage (95 % interval)": [
                f"{r.coverage:.1%} ({r.lo:.1%} to {r.hi:.1%})" for r in levels.itertuples()
            ],
            "mean width (years)": levels["mean_width"].map("{:.1f}".format),
            "median width (years)": levels["median_width"].map("{:.1f}".format),
        }
    )
    scaled = "predicted spread" if calibration["scale"] == "age_sd" else "predicted age"
    note = text(
        f"Adapted intervals follow the {scaled}; plain ones are as wide for all, but for the cut"
        f" at 0 years. They promise coverage over all faces together, not of each group.",
        note=True,
    )
    return table(readable) + note, levels, drawn


def _recuts(of: Evaluation, levels: pd.DataFrame) -> tuple[str, pd.DataFrame, bytes]:
    found = cover.recut(of.val, of.rows, of.level)
    here = levels[levels["level"] == of.level].set_index("intervals")["coverage"].to_dict()
    real = {str(method): float(value) for method, value in here.items()}
    drawn = png(figures.recuts(found, of.level, real))
    told = []
    for method, mine in found.groupby("intervals"):
        more = int((mine["coverage"] > real[str(method)]).sum())
        told.append(
            f"{method}: mean {mine['coverage'].mean():.2%}, from {mine['coverage'].min():.1%} to"
            f" {mine['coverage'].max():.1%}; the real cut has {real[str(method)]:.2%}, less than"
            f" {more} of them"
        )
    body = text(
        f"Where the validation part has chosen the best epoch too, as in trainings here, errors on"
        f" it may be smaller than on other faces, and intervals too narrow. To see that, validation"
        f" and test faces were dealt anew {found['cut'].nunique()} times, copies of a photograph"
        f" together, calibrated on one side and checked on the other. Coverage: {'; '.join(told)}."
        f" A cost of that choice would put the real cut below nearly all of them."
    )
    return body + pictures([(drawn, "coverage of re-cuts")]), found, drawn


def gender_probabilities(of: Evaluation) -> Section:
    """Whether p_female means what it says."""
    title = "Probabilities of gender"
    said, gender = of.rows["p_female"], of.rows["gender"]
    temperatures = [1.0, of.calibration["temperature"]] if of.calibration else [1.0]
    shown = {"as predicted": said.to_numpy()}
    if of.calibration:
        cooled = probabilities.with_temperature(said, temperatures[1])
        shown["with the temperature"] = cooled
    curves = {name: probabilities.reliability(p, gender) for name, p in shown.items()}
    ece = [probabilities.expected_error(curve) for curve in curves.values()]
    entropy = [probabilities.cross_entropy(p, gender) for p in shown.values()]
    drawn = {"reliability": png(decisions.reliability(curves, ece))}
    tables = {
        "reliability": pd.concat(curves, names=["p_female"]).reset_index(level=0),
        "temperature": pd.DataFrame(
            {"temperature": temperatures, "ece": ece, "cross_entropy": entropy}
        ),
    }
    told = (
        f"The expected calibration error (ECE, {probabilities.BINS} bins of p_female) is"
        f" {ece[0]:.2%}, the cross-entropy {entropy[0]:.3f} nats."
    )
    told += (
        f" A temperature of {temperatures[1]:.2f}, {of.calibrated}, makes them {ece[1]:.2%} and"
        f" {entropy[1]:.3f}: above 1 the network is too sure, below 1 not sure enough."
        if of.calibration
        else f" No temperature was fitted: {of.calibrated}."
    )
    body = text(told) + pictures([(drawn["reliability"], "reliability of p_female")])
    return Section(title, body, tables, drawn)


def operating_points(of: Evaluation) -> Section:
    """Deciding by the predicted age, and answering only for the surest faces."""
    true = of.rows["age_years"]
    n = int((true < of.adult).sum()), int((true >= of.adult).sum())
    surest = of.rows["age_hi"] - of.rows["age_pred"] if "age_hi" in of.rows else of.rows["age_sd"]
    width = None if surest.isna().any() else surest
    selective = operating.selective(of.rows, width)
    drawn = {
        f"selective_{metric}": png(decisions.selective(selective, metric))
        for metric in ("age_mae", "gender_acc")
        if metric in selective
    }
    tables = {"selective": selective}
    if not all(n):
        kind = "minors" if not n[0] else "adults"
        body = text(f"No face is annotated so that it belongs to the {kind}, below or from"
                    f" {of.adult:g} years: decisions are not shown.")  # fmt: skip
    else:
        limits = np.arange(0, max(60.0, 2 * of.adult) + 0.5, 0.5)
        rates = operating.decision_rates(of.rows, of.adult, limits)
        chosen_on = of.val if len(of.val) else of.rows
        points = operating.operating_points(chosen_on, of.rows, of.weights, of.adult)
        tables |= {"decision_rates": rates, "operating_points": points}
        drawn["decision"] = png(decisions.thresholds(rates, of.adult, n))
        where = "the validation part" if len(of.val) else "these faces themselves, which flatters"
        body = (
            text(
                f"Is this person at least {of.adult:g}? Yes, if the predicted age reaches a"
                f" threshold. Thresholds that keep the share of minors called adults below a wanted"
                f" rate were chosen on {where}:"
            )
            + table(_points_readable(points, of.adult))
            + pictures([(drawn["decision"], "errors against the threshold")])
            + text(
                "Apparent age decides nothing about a person: the annotation is a guess too.",
                note=True,
            )
        )
    without = "" if width is not None else text("There are neither intervals nor spreads of age,"
                                                " so the surest ages are not known.")  # fmt: skip
    body += text("When only the surest faces are answered, the rest left to people:") + without
    body += pictures([(d, k) for k, d in drawn.items() if k != "decision"])
    return Section("Decisions", body, tables, drawn)


def _points_readable(points: pd.DataFrame, adult: float) -> pd.DataFrame:
    if points.empty:
        return pd.DataFrame({"wanted": ["no minor among the faces that thresholds are chosen on"]})
    return pd.DataFrame(
        {
            "wanted at most": points["wanted"].map("{:.0%}".format),
            "threshold (years)": points["threshold"].map("{:.1f}".format),
            "minors called adults (95 % interval)": [
                f"{r.false_adult:.1%} ({r.false_adult_lo:.1%} to {r.false_adult_hi:.1%})"
                for r in points.itertuples()
            ],
            f"of those from {adult - operating.NEAR:g} on": points["near"].map("{:.1%}".format),
            "adults called minors (95 % interval)": [
                f"{r.false_minor:.1%} ({r.false_minor_lo:.1%} to {r.false_minor_hi:.1%})"
                for r in points.itertuples()
            ],
        }
    )

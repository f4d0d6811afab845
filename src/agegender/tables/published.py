"""Every published table and its place."""

from pathlib import Path

from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.tables import (
    accuracy,
    copies,
    faults,
    labels,
    portraits,
    reproduction,
    speed,
    sweeps,
    tests,
)


def published(results: Path) -> dict[tuple[str, str], str]:
    """Every published table: the document and the name of its place there, and its text.

    Args:
        results: the folder `docs/results`.
    """
    runs = results / "runs.csv"
    about_copies, about_speed = "docs/duplicates.md", "docs/performance.md"
    return {
        ("README.md", "reproduction"): reproduction.reproduction_table(
            runs, results / "keras_control.csv"
        ),
        ("README.md", "speedrun"): speed.speedrun_table(runs),
        ("README.md", "best"): accuracy.best_table(runs),
        ("docs/accuracy.md", "best"): accuracy.best_table(runs),
        (about_copies, "copies"): copies.copies_table(results / "copies_groups.csv"),
        (about_copies, "verdicts"): copies.verdicts_table(results / "copies_verdicts.csv"),
        (about_copies, "splits"): copies.splits_table(runs),
        (about_copies, "effect"): copies.effect_table(results / "copies_effect.csv"),
        (about_copies, "coral"): copies.coral_table(runs),
        ("docs/labels.md", "folds"): labels.folds_table(runs),
        ("docs/labels.md", "suspects"): labels.suspects_table(results / "suspect_verdicts.csv"),
        ("docs/models.md", "backbones"): speed.backbones_table(results / "benchmark.csv"),
        ("docs/models.md", "compact"): sweeps.paired_table(results / "compact_paired.csv"),
        (about_speed, "precision"): reproduction.precision_table(runs),
        (about_speed, "speedruns"): speed.speedruns_table(runs),
        (about_speed, "targets"): speed.targets_table(results / "benchmark.csv"),
        (about_speed, "ways"): speed.ways_table(results / "benchmark.csv"),
        (about_speed, "steps"): speed.steps_table(results / "benchmark_steps.csv"),
        (about_speed, "profile"): speed.profile_table(results / "benchmark_profile.csv"),
        ("docs/reliability.md", "faults"): faults.faults_table(results / "faults.csv"),
        ("docs/security.md", "images"): faults.images_table(results / "faults.csv"),
        ("docs/security.md", "hostile"): faults.hostile_table(results / "faults.csv"),
        ("docs/security.md", "page"): faults.page_table(results / "faults.csv"),
        ("docs/scaling.md", "growth"): speed.growth_table(results / "benchmark_growth.csv"),
        ("docs/portraits.md", "geometry"): portraits.geometry_table(results / "portrait.csv"),
        ("docs/portraits.md", "export"): portraits.export_table(
            sorted(results.glob("portrait_export*.csv"))
        ),
        ("docs/portraits.md", "speed"): portraits.speed_table(results / "portrait_speed.csv"),
        ("docs/accuracy.md", "frontier"): accuracy.frontier_table(results / "frontier.csv"),
        ("docs/sweeps.md", "sweep"): sweeps.sweep_table(
            results / "sweep_backbones.csv", ["model", "loss"]
        ),
        ("docs/sweeps.md", "search"): sweeps.search_table(results / "search.csv"),
        ("docs/tests.md", "mutants"): tests.mutants_table(
            results / "mutants.csv", results / "mutants_survivors.csv"
        ),
        ("docs/tests.md", "survivors"): tests.survivors_table(results / "mutants_survivors.csv"),
        (about_speed, "costs"): speed.costs_table(results / "benchmark_costs.csv"),
    }


def put_table(document: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME:start -->` and `<!-- NAME:end -->`.

    Raises:
        InputError: if the document has no such place.
    """
    before, start, rest = document.read_text().partition(f"<!-- {name}:start -->")
    _, end, after = rest.partition(f"<!-- {name}:end -->")
    if not end:
        raise InputError(f"{document} has no place for a table: <!-- {name}:start --> and :end")
    with whole_file(document) as temporary:
        temporary.write_text(f"{before}{start}\n{text}\n{end}{after}")

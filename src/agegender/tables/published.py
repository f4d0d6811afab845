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

Places = dict[tuple[str, str], str]


def published(results: Path) -> Places:
    """Every published table: the document and the name of its place there, and its text.

    Args:
        results: the folder `docs/results`, beside `docs/shipped`.
    """
    return {
        **_of_data(results),
        **_of_networks(results),
        **_of_cost(results),
        **_of_faults(results),
    }


def _of_data(results: Path) -> Places:
    runs, page = results / "runs.csv", "docs/duplicates.md"
    return {
        (page, "copies"): copies.copies_table(results / "copies_groups.csv"),
        (page, "verdicts"): copies.verdicts_table(results / "copies_verdicts.csv"),
        (page, "splits"): copies.splits_table(runs),
        (page, "effect"): copies.effect_table(results / "copies_effect.csv"),
        (page, "coral"): copies.coral_table(runs),
        ("docs/labels.md", "folds"): labels.folds_table(runs),
        ("docs/labels.md", "suspects"): labels.suspects_table(results / "suspect_verdicts.csv"),
    }


def _of_networks(results: Path) -> Places:
    runs, shipped = results / "runs.csv", results.parent / "shipped"
    keras = results / "keras_control.csv"
    backbones = sweeps.sweep_table(results / "sweep_backbones.csv", ["model", "loss"])
    return {
        ("README.md", "reproduction"): reproduction.reproduction_table(runs, keras),
        ("README.md", "best"): accuracy.best_table(runs),
        ("docs/accuracy.md", "best"): accuracy.best_table(runs),
        ("docs/accuracy.md", "errors"): accuracy.errors_table(shipped / "groups.csv"),
        ("docs/accuracy.md", "frontier"): accuracy.frontier_table(results / "frontier.csv"),
        ("docs/accuracy.md", "losses"): sweeps.paired_table(results / "losses_paired.csv"),
        ("docs/models.md", "compact"): sweeps.paired_table(results / "compact_paired.csv"),
        ("docs/sweeps.md", "sweep"): backbones,
        ("docs/sweeps.md", "search"): sweeps.search_table(results / "search.csv"),
    }


def _of_cost(results: Path) -> Places:
    runs, ways, page = results / "runs.csv", results / "benchmark.csv", "docs/performance.md"
    exports = sorted(results.glob("portrait_export*.csv"))
    return {
        ("README.md", "speedrun"): speed.speedrun_table(runs),
        ("docs/models.md", "backbones"): speed.backbones_table(ways),
        (page, "precision"): reproduction.precision_table(runs),
        (page, "speedruns"): speed.speedruns_table(runs),
        (page, "targets"): speed.targets_table(ways),
        (page, "ways"): speed.ways_table(ways),
        (page, "steps"): speed.steps_table(results / "benchmark_steps.csv"),
        (page, "profile"): speed.profile_table(results / "benchmark_profile.csv"),
        (page, "costs"): speed.costs_table(results / "benchmark_costs.csv"),
        ("docs/scaling.md", "growth"): speed.growth_table(results / "benchmark_growth.csv"),
        ("docs/portraits.md", "geometry"): portraits.geometry_table(results / "portrait.csv"),
        ("docs/portraits.md", "export"): portraits.export_table(exports),
        ("docs/portraits.md", "speed"): portraits.speed_table(results / "portrait_speed.csv"),
    }


def _of_faults(results: Path) -> Places:
    trials, survivors = results / "faults.csv", results / "mutants_survivors.csv"
    mutants = tests.mutants_table(results / "mutants.csv", survivors)
    return {
        ("docs/reliability.md", "faults"): faults.faults_table(trials),
        ("docs/security.md", "images"): faults.images_table(trials),
        ("docs/security.md", "hostile"): faults.hostile_table(trials),
        ("docs/security.md", "page"): faults.page_table(trials),
        ("docs/tests.md", "mutants"): mutants,
        ("docs/tests.md", "survivors"): tests.survivors_table(survivors),
        ("docs/tests.md", "coverage"): tests.coverage_table(results / "coverage.csv"),
    }


def put_table(document: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME:start -->` and `<!-- NAME:end -->`.

    Raises:
        InputError: if the document has no such place.
    """
    before, start, rest = document.read_text(encoding="utf-8").partition(f"<!-- {name}:start -->")
    _, end, after = rest.partition(f"<!-- {name}:end -->")
    if not end:
        raise InputError(f"{document} has no place for a table: <!-- {name}:start --> and :end")
    with whole_file(document) as temporary:
        temporary.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")

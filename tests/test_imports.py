"""The road goes one way: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src/agegender"
# each module, and the project's modules it may import; the order is the order of the road
ALLOWED = {
    "errors": set(),
    "types": set(),
    "command": set(),
    "machine": set(),
    "usage": set(),
    "scheduler": set(),
    "data.files": {"errors"},
    "data.synthetic": {"data.files"},
    "data.upright": set(),
    "data.table": {"data.files", "data.upright", "errors"},
    "data.source": {"data.files", "data.table", "errors"},
    "data.splits": {"errors"},
    "data.copies": set(),
    "data.own": {"data.files", "errors"},
    "data.audit": {"data.cache", "data.copies", "data.files", "data.table"},
    "data.cache": {"data.files", "data.table", "errors"},
    "data.pictures": {"data.cache"},
    "data.batches": {"data.cache", "types"},
    "data.datamodule": {
        "data.batches", "data.synthetic", "data.source",
        "data.table", "data.own", "data.audit", "data.splits",
        "data.cache", "data.files", "errors", "types",
    },
    "augment": set(),
    "years": {"types"},
    "models": {"models.heads", "models.layers", "types"},  # any file below models/
    "losses": {"losses.dldl", "types", "years"},  # any file below losses/
    "weighting": set(),
    "metrics": {"types"},
    "module": {"augment", "metrics", "models.net", "weighting", "errors", "types"},
    "callbacks": {"checkpoint", "module", "data.files", "provenance", "usage"},
    "report": set(),
    "figures": set(),
    "bootstrap": set(),
    "calibration": set(),
    "intervals": {"calibration", "errors"},
    "robustness": set(),
    "explain": {"errors"},
    "results": {
        "command", "errors", "data.files", "sweeps.paired", "sweeps.records", "sweeps.summary",
    },
    "tables.accuracy": {"tables.cells"},
    "tables.cells": set(),
    "tables.reproduction": {"errors", "report"},
    "tables.copies": {"data.copies", "tables.cells"},
    "tables.labels": {"tables.cells"},
    "tables.faults": set(),
    "tables.tests": set(),
    "tested": {"errors"},
    "tables.speed": set(),
    "tables.portraits": set(),
    "tables.sweeps": {"sweeps.summary"},
    "tables.published": {
        "errors", "data.files", "tables.accuracy", "tables.copies", "tables.faults",
        "tables.labels", "tables.portraits", "tables.reproduction", "tables.speed", "tables.sweeps",
        "tables.tests",
    },
    "effect": {"errors"},
    "folds": {"data.splits", "errors", "report"},
    "reports.page": set(),
    "reports.data_tables": {"figures"},
    "reports.data_figures": {"figures", "reports.data_tables"},
    "reports.data_report": {
        "data.audit", "data.files", "data.pictures", "reports.data_figures",
        "reports.data_tables", "reports.page",
    },
    "reports.predictions": {"data.files", "errors"},
    "reports.headline": {"bootstrap"},
    "reports.groups": {"bootstrap", "reports.data_tables"},
    "reports.coverage": {"bootstrap", "intervals", "reports.data_tables", "reports.groups"},
    "reports.operating": {"bootstrap"},
    "reports.evaluation_figures": {"figures"},
    "reports.decision_figures": {"figures", "reports.evaluation_figures"},
    "reports.sections": {
        "bootstrap", "figures", "intervals", "reports.evaluation_figures", "reports.groups",
        "reports.headline", "reports.page",
    },
    "reports.trust_sections": {
        "calibration", "intervals", "reports.coverage", "reports.decision_figures",
        "reports.evaluation_figures", "reports.groups", "reports.operating", "reports.page",
        "reports.sections",
    },
    "reports.evaluation_report": {
        "bootstrap", "data.files", "figures", "intervals", "reports.decision_figures",
        "reports.page", "reports.predictions", "reports.sections", "reports.trust_sections",
    },
    "reports.comparison": {
        "bootstrap", "data.files", "errors", "reports.data_tables", "reports.decision_figures",
        "reports.groups", "reports.page", "reports.predictions", "reports.sections",
    },
    "reports.faceless": {"command", "data.files", "errors"},
    "reports.model_card": {
        "bootstrap", "command", "errors", "intervals", "reports.groups", "reports.sections",
    },
    "provenance": set(),
    "schemas": set(),
    "config": {"errors", "machine", "schemas"},
    "cli": {"config", "data.files", "errors", "schemas"},
    "checkpoint": {"config", "data.datamodule", "data.files", "errors", "models.net"},
    "scoring": {"callbacks", "checkpoint", "data.datamodule", "models.net", "module", "report"},
    "evaluate": {
        "checkpoint", "config", "data.cache", "data.datamodule", "data.files", "data.table",
        "errors", "explain", "intervals", "machine", "module", "provenance", "report",
        "reports.evaluation_report", "reports.predictions", "reports.sections", "robustness",
        "scoring",
    },
    "ship": {"checkpoint", "command", "data.files", "errors"},
    "portraits.read": {"data.cache", "data.table", "data.upright"},
    "portraits.faces": {"data.files", "errors"},
    "portraits.mtcnn": {"errors"},
    "portraits.detect": {"portraits.faces", "portraits.mtcnn"},
    "portraits.align": {"data.cache", "portraits.faces"},
    "portraits.judge": {"data.cache", "data.pictures", "portraits.align", "portraits.faces"},
    "portraits.annotate": {"portraits.faces"},
    "portraits.film": {"data.cache", "data.files", "errors", "portraits.read"},
    "estimators": {"checkpoint", "data.cache", "errors", "models.net", "portraits.align"},
    "reader": {
        "checkpoint", "data.cache", "errors", "estimators", "intervals", "portraits.align",
        "portraits.detect", "portraits.faces", "portraits.judge", "portraits.mtcnn",
        "portraits.read",
    },
    "predict": {
        "checkpoint", "data.files", "data.table", "errors", "portraits.annotate", "portraits.read",
        "reader", "schemas",
    },
    "video": {
        "data.cache", "data.files", "errors", "portraits.annotate", "portraits.film", "predict",
        "reader", "schemas",
    },
    "unseen": {"checkpoint", "data.cache", "data.datamodule", "errors", "evaluate"},
    "answer": {"portraits.annotate", "portraits.faces", "reader", "reports.page"},
    "gate": set(),
    "app": {"answer", "data.synthetic", "errors", "gate", "reader", "schemas"},
    "exported": {"data.cache", "models.net", "portraits.align"},
    "export": {
        "checkpoint", "data.cache", "data.files", "errors", "estimators", "evaluate", "exported",
        "portraits.align", "provenance", "report", "unseen",
    },
    "geometry": {
        "checkpoint", "data.cache", "estimators", "portraits.align", "portraits.detect",
        "portraits.faces",
        "portraits.mtcnn", "unseen",
    },
    "reports.suspects": {"data.files", "errors", "figures", "reports.page"},
    "explore": {
        "config", "data.datamodule", "data.pictures", "errors", "reports.data_report",
        "reports.suspects",
    },
    "finish": {
        "callbacks", "checkpoint", "config", "data.datamodule", "data.files", "evaluate",
        "figures", "intervals", "module", "provenance", "report", "reports.evaluation_report",
        "reports.operating", "scoring", "usage",
    },
    "train": {
        "callbacks", "checkpoint", "config", "data.datamodule", "data.files", "errors", "finish",
        "machine", "module", "usage",
    },
    "sweeps.records": {"data.files", "errors"},
    "sweeps.summary": {"data.files", "sweeps.records"},
    "sweeps.paired": {"bootstrap", "errors", "sweeps.records"},
    "sweeps.trial": {
        "cli", "config", "data.files", "errors", "sweeps.records", "sweeps.summary", "train",
    },
    "sweeps.search": {"config", "data.files", "errors", "sweeps.summary", "sweeps.trial", "train"},
    "bench.link": {"usage"},
    "bench.textbook": {"data.batches", "data.datamodule"},
    "bench.pacer": {"bench.link", "data.datamodule", "module", "scoring", "types"},
    "bench.loops": {
        "bench.link", "bench.textbook", "config", "data.datamodule", "machine", "module", "train",
        "types",
    },
    "bench.limits": {"bench.link", "bench.loops", "data.batches", "data.cache", "types"},
    "bench.keras_way": {"bench.link"},
    "bench.portraits": {
        "checkpoint", "data.cache", "errors", "estimators", "geometry", "portraits.align",
        "portraits.detect", "portraits.judge", "portraits.mtcnn", "portraits.read", "unseen",
    },
    "bench.frontier": {"errors", "estimators", "portraits.align"},
    "bench.ways": {"bench.limits", "bench.link", "bench.loops"},
    "bench.rounds": {"errors", "usage"},
    "bench.summary": set(),
    "bench.ladder": {"bench.rounds", "bench.summary"},
    "bench.costs": {"bench.rounds"},
    "bench.growth": {
        "bench.rounds", "data.cache", "data.copies", "data.datamodule", "data.files", "data.table",
        "metrics", "types", "usage",
    },
    "bench.compare": {"bench.ladder", "bench.rounds", "bench.summary", "data.datamodule"},
    "bench.run": {
        "bench.compare", "bench.costs", "bench.growth", "bench.ladder", "bench.rounds",
        "bench.summary", "config",
        "data.datamodule", "data.files", "errors", "provenance",
    },
}  # fmt: skip
HYDRA = {
    "config", "schemas", "cli", "train", "finish", "evaluate", "explore", "checkpoint",
    "unseen", "export", "geometry", "sweeps.trial", "sweeps.search",
    "bench.loops", "bench.limits", "bench.portraits", "bench.ways", "bench.run",
}  # fmt: skip
LIGHTNING = {
    "module", "data.datamodule", "callbacks", "train", "finish", "scoring", "config", "cli",
    "bench.pacer", "sweeps.search",
}  # fmt: skip
WITHOUT_TORCH = {
    "sweeps.paired", "sweeps.records", "sweeps.summary", "tables.sweeps",
    "command", "usage", "bench.link", "bench.keras_way", "bench.rounds", "bench.summary",
    "bench.ladder",
    "bench.costs", "report", "figures", "results", "tables.cells", "tables.reproduction",
    "tables.accuracy", "tables.copies", "tables.faults", "tables.labels", "tables.portraits",
    "tables.speed", "tables.tests", "tested",
    "tables.published", "effect", "folds",
    "data.table", "data.splits", "data.cache", "data.pictures", "portraits.read",
    "portraits.faces", "portraits.align", "portraits.judge", "portraits.annotate",
    "portraits.film", "reports.page",
    "reports.data_tables", "reports.data_figures", "reports.data_report", "reports.suspects",
    "bootstrap", "calibration", "intervals", "reports.predictions", "reports.headline",
    "reports.groups", "reports.coverage", "reports.operating", "reports.evaluation_figures",
    "reports.decision_figures", "reports.sections", "reports.trust_sections",
    "reports.evaluation_report", "reports.comparison", "reports.faceless", "reports.model_card",
}  # fmt: skip


def modules() -> dict[str, set[str]]:
    """Each module and everything it imports, by dotted name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        if path.stem == "__init__":
            continue
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, "imports are absolute"
                names.add(str(node.module))
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        found[name] = names
    assert len(found) >= 20
    return found


def test_imports_follow_the_table():
    found = modules()
    assert {_row(name) for name in found} == ALLOWED.keys()
    for name, imports in found.items():
        mine = {i.removeprefix("agegender.") for i in imports if i.startswith("agegender.")}
        used = mine & found.keys()
        assert used <= ALLOWED[_row(name)], f"{name} imports {used - ALLOWED[_row(name)]}"


def _row(name: str) -> str:
    """The table's row for a module: adding a backbone or a loss needs no edit here."""
    folder = name.partition(".")[0]
    return folder if folder in ("models", "losses") else name


def test_hydra_lightning_and_torch_stay_where_they_belong():
    for name, imports in modules().items():
        roots = {i.split(".")[0] for i in imports}
        assert not roots & {"hydra", "omegaconf"} or name in HYDRA, name
        assert "lightning" not in roots or name in LIGHTNING, name
        assert not roots & {"torch", "lightning"} or name not in WITHOUT_TORCH, name


def test_predictions_do_not_wait_for_the_training_library():
    code = "import sys, agegender; agegender.load(detector='none'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"torch", "agegender.reader"} <= loaded
    assert not {"lightning", "lightning.pytorch", "torchmetrics", "matplotlib"} & loaded

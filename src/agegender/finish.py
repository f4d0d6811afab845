"""What a run leaves when its training has ended: scores, tables, figures, and what it was."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import DictConfig
from PIL import Image

from agegender import checkpoint, figures, intervals
from agegender.callbacks import History
from agegender.config import plain
from agegender.data.datamodule import FaceData
from agegender.data.files import whole_file
from agegender.evaluate import calibration_for, option, save
from agegender.module import FaceModule
from agegender.provenance import provenance
from agegender.report import NOTEBOOK, result_lines, seconds_to, trivial_guess
from agegender.reports.evaluation_report import (
    evaluation_of,
    faces_section,
    facts_section,
    make_report,
    write_report,
)
from agegender.reports.operating import ADULT
from agegender.scoring import COLUMNS, predict_parts, score, scorer, split_facts
from agegender.usage import peak_rss_mb

NOT_VARIED = {
    "output_dir", "ckpt_path", "monitor", "monitor_mode", "callbacks", "logger", "search", "report",
}  # fmt: skip
# its best age MAE, and the gender accuracy of its last epoch
NOTEBOOK_BAR = (NOTEBOOK["best"][0], NOTEBOOK["last"][1])
# of metrics.json, what stands at the end of a report
FACTS = (
    "date", "commit", "command", "name", "model", "loss", "parameters", "split", "duplicates",
    "split_hash", "data_digest", "seed", "precision", "epochs", "best_epoch",
)  # fmt: skip
HPARAMS = ("val/age_mae", "val/gender_acc", "test/age_mae", "test/gender_acc")


def finish(
    cfg: DictConfig,
    data: FaceData,
    module: FaceModule,
    history: History,
    best: ModelCheckpoint,
    loggers: list[Logger],
) -> dict[str, Any]:
    """Score the best checkpoint on val and test; write tables, figures and metrics."""
    output = Path(cfg.output_dir)
    loaded = checkpoint.load(Path(best.best_model_path))
    predictions = predict_parts(
        scorer(loaded, cfg.flip_average),
        data,
        ["val", "test", "test_keep"],
        str(cfg.trainer.precision),
    )
    calibration = intervals.calibrate(predictions[predictions["part"] == "val"])
    checkpoint.keep_calibration(Path(best.best_model_path), calibration)
    predictions = intervals.with_bounds(predictions, calibration)[COLUMNS]
    part = "test" if (predictions["part"] == "test").any() else "val"
    last = history.rows[-1]
    metrics = {
        **score(data.frame, predictions),
        "val_last": {name[4:]: value for name, value in last.items() if name.startswith("val/")},
        "run": {
            **describe_run(cfg, data, module, history),
            "part": part,
            "intervals": calibration_for(predictions, part, calibration)[1],
            "level": intervals.LEVEL,
            "monitored": float("nan")
            if best.best_model_score is None
            else float(best.best_model_score),
        },
    }
    save(output, predictions, metrics)
    drawn = draw_figures(data, predictions, history, output / "figures")
    if cfg.report:
        drawn += report_run(cfg, data, predictions, calibration, metrics)
    show_in_loggers(cfg, metrics, drawn, int(last["step"]), loggers)
    return metrics


def describe_run(
    cfg: DictConfig, data: FaceData, module: FaceModule, history: History
) -> dict[str, Any]:
    """What the run was, on what, and what it cost."""
    values = [row[cfg.monitor] for row in history.rows]
    best = values.index(min(values) if cfg.monitor_mode == "min" else max(values))
    return {
        **provenance(),
        "commits": history.commits,
        "name": cfg.name,
        "model": option(cfg.model.backbone._target_),
        "loss": option(cfg.loss._target_),
        "parameters": sum(p.numel() for p in module.net.parameters()),
        **split_facts(data),
        "seed": cfg.seed,
        "precision": str(cfg.trainer.precision),
        "epochs": len(history.rows),
        "max_epochs": cfg.trainer.max_epochs,
        "best_epoch": history.rows[best]["epoch"],
        **history.costs(),
        "seconds_to_notebook": seconds_to(pd.DataFrame(history.rows), *NOTEBOOK_BAR)
        if data.split == "notebook"
        else None,
        "peak_rss_mb": peak_rss_mb(),
    }


def draw_figures(
    data: FaceData, predictions: pd.DataFrame, history: History, folder: Path
) -> list[Path]:
    """All figures of a run, saved as PNG; of the test part, or val where there is no test."""
    part = "test" if (predictions["part"] == "test").any() else "val"
    shown = predictions[predictions["part"] == part]
    found = figures.run_figures(pd.DataFrame(history.rows), shown, part, data.pixels)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in found]
    for path, figure in zip(paths, found.values(), strict=True):
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    return paths


def report_run(
    cfg: DictConfig,
    data: FaceData,
    predictions: pd.DataFrame,
    calibration: intervals.Calibration,
    metrics: dict[str, Any],
) -> list[Path]:
    """Write `report.html` of the test part, or val where there is no test.

    Returns:
        Its figures.
    """
    about = metrics["run"]
    of = evaluation_of(
        *(predictions, about["part"], calibration, about["intervals"], about["level"], ADULT),
        *(trivial_guess(data.frame[data.frame["part"] == "train"]), "the train part"),
    )
    facts = {key: metrics["run"][key] for key in FACTS}
    sections = [*make_report(of), faces_section(of.rows, data.pixels), facts_section(facts)]
    paths = write_report(Path(cfg.output_dir), f"Report: {cfg.name}", sections)
    return list(paths.values())


def show_in_loggers(
    cfg: DictConfig,
    metrics: dict[str, Any],
    drawn: list[Path],
    step: int,
    loggers: list[Logger],
) -> None:
    """Final metrics, HPARAMS and figures for TensorBoard (or whatever logger is configured)."""
    final = {
        f"{part}/{name}": value
        for part in ("val", "test")
        for name, value in metrics.get(part, {}).items()
    }
    log_hyperparameters(cfg, loggers, final)
    for logger in loggers:
        logger.log_metrics({k: v for k, v in final.items() if k.startswith("test/")}, step)
        if isinstance(logger, TensorBoardLogger):
            for path in drawn:
                picture = np.asarray(Image.open(path).convert("RGB"))
                tag = f"{path.parent.name}/{path.stem}"  # figures/... or report/...
                logger.experiment.add_image(tag, picture, step, dataformats="HWC")
            logger.experiment.add_text(
                "result", textwrap.indent(result_lines(metrics), "    "), step
            )
        logger.finalize("success")


def log_hyperparameters(cfg: DictConfig, loggers: list[Logger], final: dict[str, float]) -> None:
    """What researchers vary, and the final metrics (NaN until there are any), for HPARAMS."""
    scores = {f"hp/{name}": final.get(name, float("nan")) for name in HPARAMS}
    varied = {key: value for key, value in plain(cfg).items() if key not in NOT_VARIED}
    flat = pd.json_normalize(varied, sep=".").iloc[0].to_dict()
    values = {}
    for name, value in flat.items():
        key, last = str(name), str(name).rpartition(".")[2]
        if last == "_target_":  # the class alone: the table has narrow columns
            key, value = key.removesuffix("._target_"), value.rpartition(".")[2]
        if last != "_partial_":
            plain_value = isinstance(value, int | float | str | bool)
            values[key] = value if plain_value else str(value)
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(values, scores)
        else:
            logger.log_hyperparams(values)

"""The keys of the primary configs that no constructor owns."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING


@dataclass
class TrainConfig:
    """The keys of `train.yaml` that no constructor owns; each group is a node of its own."""

    name: str = "train"
    seed: int = 1
    output_dir: str = MISSING
    ckpt_path: str | None = None
    monitor: str = "val/age_mae"
    monitor_mode: str = "min"
    gender_smoothing: float = 0.0
    flip_average: bool = False
    channels_last: bool = True
    keep_freed_memory: bool = True
    compile: bool = False
    threads: int | None = None
    report: bool = True
    search: Any = None
    data: Any = MISSING
    augment: Any = MISSING
    model: Any = MISSING
    loss: Any = MISSING
    weighting: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING
    trainer: Any = MISSING


@dataclass
class EvaluateConfig:
    """The keys of `evaluate.yaml`; `data` is a group."""

    checkpoint: str | None = None
    predictions: str | None = None
    part: str = "test"
    level: float = 0.9
    adult_age: float = 18.0
    report: bool = True
    robustness: bool = False
    explain: bool = False
    output_dir: str = MISSING
    precision: str | None = None
    flip_average: bool | None = None
    allow_training_images: bool = False
    data: Any = MISSING


@dataclass
class CompareConfig:
    """The keys of `compare.yaml`."""

    runs: list[str] = MISSING
    part: str = "test"
    publish: str | None = None
    output_dir: str = MISSING


@dataclass
class ExploreConfig:
    """The keys of `explore.yaml`; `data` is a group."""

    output_dir: str = MISSING
    groups_shown: int = 60
    data: Any = MISSING


@dataclass
class SuspectsConfig:
    """The keys of `suspects.yaml`; `data` is a group."""

    predictions: str = MISSING
    output_dir: str = MISSING
    shown: int = 200
    data: Any = MISSING


@dataclass
class PredictConfig:
    """The keys of `predict.yaml`."""

    input: Any = None
    checkpoint: str = "shipped"
    detector: str = "mtcnn"
    boxes: str | None = None
    runtime: str | None = None
    level: float = 0.9
    output_dir: str = MISSING
    annotate: bool = False
    resume: bool = False
    threads: int | None = None


@dataclass
class VideoConfig:
    """The keys of `video.yaml`."""

    input: Any = None
    checkpoint: str = "shipped"
    every: int = 1
    detector: str = "mtcnn"
    runtime: str | None = None
    level: float = 0.9
    output_dir: str = MISSING
    annotate: bool = False
    threads: int | None = None


@dataclass
class AppConfig:
    """The keys of `app.yaml`."""

    checkpoint: str = "shipped"
    detector: str = "mtcnn"
    runtime: str | None = None
    level: float = 0.9
    host: str = "127.0.0.1"
    port: int | None = None
    threads: int | None = None


@dataclass
class ExportConfig:
    """The keys of `export.yaml`; `data` is a group."""

    checkpoint: str = "shipped"
    output_dir: str = MISSING
    smaller: bool = True
    flip_average: bool | None = None
    faces: int = 500
    data: Any = MISSING


SCHEMAS = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "compare": CompareConfig,
    "explore": ExploreConfig,
    "suspects": SuspectsConfig,
    "predict": PredictConfig,
    "video": VideoConfig,
    "export": ExportConfig,
    "app": AppConfig,
}

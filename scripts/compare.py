"""Runs side by side on the same faces: `python scripts/compare.py runs=[A,B]`."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from agegender import cli, config
from agegender.reports.comparison import compare
from agegender.reports.faceless import publish

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
def main(cfg: DictConfig) -> None:
    print(compare([Path(run) for run in cfg.runs], cfg.part, Path(cfg.output_dir)))
    print(f"open {cfg.output_dir}/compare.html")
    if cfg.publish:
        publish(Path(cfg.output_dir), Path(cfg.publish))


if __name__ == "__main__":
    cli.run(main)

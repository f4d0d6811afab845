"""Faces whose labels are least likely: `python scripts/suspects.py predictions=out_of_fold.csv`."""

import hydra
from omegaconf import DictConfig

from agegender import cli, config
from agegender.explore import suspects

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="suspects")
def main(cfg: DictConfig) -> None:
    print(f"open {suspects(cfg)}")


if __name__ == "__main__":
    cli.run(main)

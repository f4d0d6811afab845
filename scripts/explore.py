"""A report of what is in the data: `python scripts/explore.py data.archive=UTKFace.tar.gz`."""

import hydra
from omegaconf import DictConfig

from agegender import cli, config
from agegender.explore import explore

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="explore")
def main(cfg: DictConfig) -> None:
    print(f"open {explore(cfg)}")


if __name__ == "__main__":
    cli.run(main)

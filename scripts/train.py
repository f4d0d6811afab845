"""Train a network: `python scripts/train.py model=cnn trainer.max_epochs=30`."""

import hydra
from omegaconf import DictConfig

from agegender import cli, config
from agegender.report import result_lines
from agegender.train import fit

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> None:
    metrics = fit(cfg)
    print(result_lines(metrics))
    print(f"run folder:   {cfg.output_dir}")
    print(f"TensorBoard:  tensorboard --logdir {cfg.output_dir}")


if __name__ == "__main__":
    cli.run(main)

"""Train a network: `python scripts/train.py model=cnn trainer.max_epochs=30`."""

import hydra
from omegaconf import DictConfig

from agegender import cli
from agegender.report import result_lines
from agegender.sweeps import trial
from agegender.train import fit

trial.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    if trial.in_sweep():
        return trial.run_job(cfg)
    metrics = fit(cfg)
    if metrics:  # one of several processes finishes the run, the others have nothing to say
        print(result_lines(metrics))
        print(f"run folder:   {cfg.output_dir}")
        print(f"TensorBoard:  tensorboard --logdir {cfg.output_dir}")
    return None


if __name__ == "__main__":
    cli.run(main)

"""Score a checkpoint: `python scripts/evaluate.py checkpoint=RUN/checkpoints/best.ckpt`."""

import hydra
from omegaconf import DictConfig

from agegender import cli, config
from agegender.evaluate import evaluate
from agegender.report import result_lines

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    print(result_lines(evaluate(cfg)))
    print(f"written to {cfg.output_dir}{': open report.html' if cfg.report else ''}")


if __name__ == "__main__":
    cli.run(main)

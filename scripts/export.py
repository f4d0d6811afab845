"""Write a checkpoint as ONNX: `python scripts/export.py checkpoint=RUN/checkpoints/best.ckpt`."""

import hydra
from omegaconf import DictConfig

from agegender import cli, config
from agegender.export import export, table_lines

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="export")
def main(cfg: DictConfig) -> None:
    print(table_lines(export(cfg)))
    print(f"written to {cfg.output_dir}")


if __name__ == "__main__":
    cli.run(main)

"""Age and gender of faces in pictures: `python scripts/predict.py input=FOLDER checkpoint=FILE`."""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from agegender import cli, config
from agegender.machine import use_threads
from agegender.predict import predict, table_lines

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="predict")
def main(cfg: DictConfig) -> None:
    given = OmegaConf.to_object(cfg)
    use_threads(cfg.threads)
    rows, pictures, failed = predict(given)  # type: ignore[arg-type]  # the schema's own class
    print(table_lines(rows))
    print(f"{pictures} pictures, {failed} of them without an answer; written to {cfg.output_dir}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    cli.quote_paths("input")
    cli.run(main)

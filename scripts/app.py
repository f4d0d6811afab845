"""A page to try a network on portraits: `python scripts/app.py checkpoint=FILE`."""

import hydra
from omegaconf import DictConfig, OmegaConf

from agegender import cli, config
from agegender.app import serve
from agegender.machine import use_threads

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="app")
def main(cfg: DictConfig) -> None:
    use_threads(cfg.threads)
    serve(OmegaConf.to_object(cfg))  # type: ignore[arg-type]  # the schema's own class


if __name__ == "__main__":
    cli.run(main)

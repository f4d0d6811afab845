"""Age and gender of faces in a video: `python scripts/video.py input=CLIP.mp4 annotate=true`."""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from agegender import cli, config
from agegender.machine import use_threads
from agegender.video import frame_lines, look_at_video

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="video")
def main(cfg: DictConfig) -> None:
    given = OmegaConf.to_object(cfg)
    use_threads(cfg.threads)
    seen = look_at_video(given)  # type: ignore[arg-type]  # the schema's own class
    print(frame_lines(seen.rows))
    print(
        f"{seen.frames} frames, {seen.without} of them without a face; written to {cfg.output_dir}"
    )
    if seen.wrong:
        print(f"error: the video is cut off or damaged: {seen.wrong}", file=sys.stderr)
    sys.exit(1 if seen.wrong or seen.without == seen.frames else 0)


if __name__ == "__main__":
    cli.quote_paths("input")
    cli.run(main)

"""Commands as they are published."""

import shlex

# words that only say where a run lay and how often it was cut
OF_ONE_RUN = ("output_dir=", "ckpt_path=", "hydra.sweep.dir=")


def for_anybody(command: str) -> str:
    """A run's command without what only says where it lay and how often it was cut."""
    return shlex.join(word for word in shlex.split(command) if not word.startswith(OF_ONE_RUN))

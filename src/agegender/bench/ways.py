"""The benchmark's own processes, by name."""

from omegaconf import DictConfig

from agegender.bench import limits, loops
from agegender.bench.link import Link


def work(way: str, link: Link, cfg: DictConfig, seconds: float, workers: int | None) -> None:
    """Do as a way does until there are no orders.

    Raises:
        EOFError: when there are none.
    """
    if way == "textbook":
        loops.textbook(link, cfg, seconds, workers or 0)
    elif way in ("peak", "cache"):
        limits.peak(link) if way == "peak" else limits.cache(link, cfg)
    else:
        {"bare": loops.bare, "ceiling": loops.ceiling, "cost": limits.cost}[way](link, cfg, seconds)

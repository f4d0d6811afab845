"""Where a training step's time goes, and what each means of this project takes off it."""

from collections.abc import Sequence

import pandas as pd

from agegender.bench.rounds import Bench, rounds, tell
from agegender.bench.summary import processor_seconds, rates

PLAIN = {
    "optimizer.fused=false": "fused optimizer",
    "keep_freed_memory=false": "freed memory kept",
    "channels_last=false": "channels last",
    "trainer.precision=32-true": "bfloat16",
}  # as torch comes, and what this project does instead


def steps_table(blocks: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """What each means adds to a step on a constant batch.

    Args:
        blocks: of training, as `agegender.bench.rounds.rounds` returns them; a way a means.
        names: of the ways, the plainest first.

    Returns:
        A row a way: way, images_per_s, lowest, highest, over_plain (median of the rounds' own
        ratios to the first way), user_s, sys_s (for 1,000 images).
    """
    by_round = rates(blocks, "train")
    plain = by_round[names[0]]
    rows = []
    for way in names:
        rows.append(
            {
                "way": way,
                "images_per_s": by_round[way].median(),
                "lowest": by_round[way].min(),
                "highest": by_round[way].max(),
                "over_plain": (by_round[way] / plain).median(),
                **processor_seconds(blocks[blocks["way"] == way]),
            }
        )
    return pd.DataFrame(rows)


def ladder(
    bench: Bench, model: str, precision: str, repeats: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One means after the other on a constant batch, and the operators before and after all.

    Args:
        bench: where processes come from.
        model: an option of `conf/model/`.
        precision: of the project's own ways.
        repeats: rounds that count.

    Returns:
        Rows as of `steps_table`; and a row an operator, its shape and the way that it is of, the
        plainest first: operator, shape, ms and calls (a step), way.
    """
    words = list(PLAIN)
    ways = {"as torch comes": bench.start("ceiling", f"model={model}", *words)}
    for word, means in PLAIN.items():
        words.remove(word)
        if means == "bfloat16" and not precision.startswith("bf16"):
            tell("this processor has no fast bfloat16, so that is left out")
        else:
            ways[means] = bench.start("ceiling", f"model={model}", *words)
    blocks = rounds(ways, bench.start("peak"), repeats, ["train"])
    for process in ways.values():
        process.end()
    profiles = [
        _profile(bench, model, list(PLAIN)).assign(way="as torch comes"),
        _profile(bench, model, words).assign(way=list(ways)[-1]),
    ]
    return (
        steps_table(blocks, list(ways)).assign(model=model),
        pd.concat(profiles).assign(model=model),
    )


def _profile(bench: Bench, model: str, words: Sequence[str]) -> pd.DataFrame:
    """A row an operator.

    The profiler keeps small blocks between a step's large ones, so that these no longer fit where
    the last step's were; without large pages that alone was seen to treble the time of a step.
    """
    process = bench.start("ceiling", f"model={model}", *words, env={"THP_MEM_ALLOC_ENABLE": "1"})
    process.ask("train")
    operators = pd.DataFrame(process.ask("profile")["operators"])
    process.end()
    return operators

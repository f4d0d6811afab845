import pandas as pd

from agegender.bench.ladder import steps_table
from agegender.bench.summary import COLUMNS, summary, way_rows


def block(turn: int, way: str, order: str, images: int, seconds: float) -> dict[str, object]:
    spent = {"user_s": 1.5 * seconds, "sys_s": 0.5 * seconds}
    return {"round": turn, "way": way, "order": order, "images": images, "seconds": seconds} | spent


def test_rates_are_medians_and_ratios_are_within_a_round():
    # ours is twice the plain way in each round, while the machine gets slower from round to round
    blocks = []
    for turn, slow in ((1, 1.0), (2, 2.0), (3, 10.0)):
        for way, rate in (("ours", 200), ("bare", 100)):
            blocks += [
                block(turn, way, "train", rate, slow),
                block(turn, way, "infer", 10 * rate, slow * (2 if way == "bare" else 4)),
            ]
        peak = {"bf16": 400.0 / slow, "fp32": 100.0 / slow, "copy": 30.0}
        blocks.append({**block(turn, "peak", "peak", 0, 1.0), **peak})
    facts = {
        "ours": {"precision": "bf16-mixed", "gflop_per_image": 1.0, "model": "cnn"},
        "bare": {"precision": "32-true", "gflop_per_image": 1.0, "model": "cnn"},
    }
    ours, bare = way_rows(pd.DataFrame(blocks).assign(load=0.5), facts)
    assert (ours["train_images_per_s"], bare["train_images_per_s"]) == (100, 50)
    assert (ours["train_lowest"], ours["train_highest"]) == (20, 200)
    assert (ours["ours_over_way"], bare["ours_over_way"]) == (1, 2)
    assert (bare["ours_over_way_lowest"], bare["ours_over_way_highest"]) == (2, 2)
    assert bare["infer_ours_over_way"] == 1
    # 13 s of wall time for 600 images, 1.5 and 0.5 s of processor time a second
    assert ours["user_s"] == 1000 * 1.5 * 13 / 600
    assert ours["sys_s"] == 1000 * 0.5 * 13 / 600
    assert (ours["peak_gflops"], bare["peak_gflops"]) == (400, 100)
    assert (ours["share_of_peak"], bare["share_of_peak"]) == (0.25, 0.5)
    assert (ours["repeats"], ours["load"], ours["copy_gb_per_s"]) == (3, 0.5, 30)
    table = pd.DataFrame([ours, bare]).assign(peak_anonymous_mb=600.0, start_s=4.5)
    assert set(table.columns) <= set(COLUMNS)
    said = summary(table).splitlines()
    assert said[1].split() == ["cnn", "ours", "100", "1.000", "250", "600", "4.5", "s"]
    assert said[2].split()[:4] == ["cnn", "bare", "50", "2.000"]


def test_steps_are_told_from_the_plainest_on():
    blocks = pd.DataFrame(
        [
            block(turn, way, "train", images, 2.0 * turn)
            for turn in (1, 2, 3)
            for way, images in (("b", 60), ("a", 20))
        ]
    )
    plain, better = steps_table(blocks, ["a", "b"]).to_dict("records")
    assert (plain["way"], plain["images_per_s"], plain["over_plain"]) == ("a", 5, 1)
    assert (plain["lowest"], plain["highest"]) == (20 / 6, 10)
    assert (better["way"], better["images_per_s"]) == ("b", 15)
    assert abs(better["over_plain"] - 3) < 1e-9
    assert (plain["user_s"], plain["sys_s"]) == (1000 * 1.5 * 12 / 60, 1000 * 0.5 * 12 / 60)

"""The counts of docs/reliability.md and docs/security.md are those of the trials."""

from pathlib import Path

from agegender.tables.faults import faults_table, hostile_table, images_table

from .recorder import recorded

TRIALS = (
    ("SIGKILL: training, at 10% of its time, in the middle", "ended within 0.1 s, went on, same"),
    ("SIGTERM: training, at 90% of its time, in the middle", "ended within 2.0 s, went on, same"),
    ("SIGTERM: training, at 99% of its time, after its end", "ended within 0.0 s, same"),
    ("damage: checkpoint, flip", "refused: its digest"),
    ("damage: checkpoint, cut", "refused: by torch"),
    ("damage: checkpoint, zeros", "refused: its digest"),
    ("disk full: a cache, 50000 bytes free", "an error"),
    ("a checkpoint with pickled code", "refused"),
    ("an archive of a million members (zip)", "refused, 1325 MB in all"),
    ("image, PNG, cut off: data path", "refused: damaged"),
    ("image, PNG, cut off: none", "read"),
    ("image, PNG, cut off: mtcnn", "read"),
    ("image, GIF, wrong suffix: data path", "refused: holds GIF, its name says PNG"),
    ("image, GIF, wrong suffix: none", "read"),
    ("image, GIF, wrong suffix: mtcnn", "refused: no face found"),
    ("images, the slowest of 2", "0.1 s: GIF, wrong suffix, mtcnn"),
)


def test_each_trial_is_counted_once_where_it_belongs(tmp_path: Path, monkeypatch):
    table = tmp_path / "faults.csv"
    monkeypatch.setenv("AGEGENDER_FAULTS", str(table))
    for seed, (what, outcome) in enumerate(TRIALS):
        recorded(what, seed, outcome)
    assert faults_table(table).splitlines()[2:] == [
        "| SIGKILL or SIGTERM after its end: training | 1 | same |",
        "| SIGKILL or SIGTERM in the middle: training | 2 | went on, same |",
        "| damage: checkpoint | 3 | 2 refused: its digest; 1 refused: by torch |",
        "| disk full: a cache | 1 | an error |",
        "| **all** | 7 | |",
    ]
    assert hostile_table(table).splitlines()[2:] == [
        "| a checkpoint with pickled code | 1 | refused |",
        "| an archive of a million members | 1 | refused |",
        "| **all** | 2 | |",
    ]
    lines = images_table(table).splitlines()
    assert lines[0] == "| 2 pictures | data path | detector=none | detector=mtcnn |"
    assert "| read |  | 2 | 1 |" in lines
    assert "| refused: damaged | 1 |  |  |" in lines
    assert "| refused: holds another format than its name says | 1 |  |  |" in lines
    assert lines[-1] == "- the slowest of 2: 0.1 s: GIF, wrong suffix, mtcnn"

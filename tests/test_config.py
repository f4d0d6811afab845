import importlib
import pkgutil

import pytest
import torch
import yaml
from omegaconf import OmegaConf

import agegender.losses
import agegender.models
from agegender.config import check_config, did_you_mean, find_target, plain
from agegender.errors import InputError
from agegender.sweeps.search import check_search

from .conftest import ROOT, SMALL, composed, refusal, run_here, run_script

CONF = ROOT / "conf"
OPTIONS = sorted(path for path in CONF.glob("*/*.yaml"))
# no network of its own stands in these
PARTS_OF_NETS = {"net", "heads", "layers"}


def test_there_are_options_to_check():
    assert len(OPTIONS) >= 12


@pytest.mark.parametrize("path", OPTIONS, ids=lambda p: f"{p.parent.name}={p.stem}")
def test_every_option_composes_and_passes_the_check(path):
    if path.stem == "as_trained":
        pytest.skip("for evaluate.yaml, which merges it into a checkpoint's own config")
    group = path.parent.name
    if path.stem.startswith("search"):
        assert check_search(plain(composed(f"sweep={path.stem}", "output_dir=out"))["search"])
        return
    given = ["data.csv=own.csv"] if path.stem == "csv" else []
    if group == "without":
        given = ["experiment=best"]
    check_config(composed(f"{group}={path.stem}", "output_dir=out", *given))


def test_an_ablation_takes_one_means_out_of_the_recipe():
    best = ("sweep=ablation", "experiment=best", "output_dir=out")
    whole = composed(*best, "without=nothing")
    assert (whole.data.image_size, whole.augment.start_size, whole.name) == (64, 32, "ablation")
    taken = []
    for path in sorted((CONF / "without").glob("*.yaml")):
        cfg = composed(*best, f"without={path.stem}")
        changed = [key for key in whole if cfg[key] != whole[key]]
        assert bool(changed) == (path.stem != "nothing"), path.stem
        taken += changed
    assert {"callbacks", "augment", "scheduler", "optimizer", "loss", "flip_average"} <= {*taken}


@pytest.mark.parametrize("package", [agegender.models, agegender.losses])
def test_every_backbone_and_loss_has_its_yaml_and_the_other_way_round(package):
    group = {"models": "model", "losses": "loss"}[package.__name__.split(".")[1]]
    modules = {m.name for m in pkgutil.iter_modules(package.__path__)} - PARTS_OF_NETS
    assert {path.stem for path in (CONF / group).glob("*.yaml")} == modules
    for name in modules:
        node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
        target = node.get("backbone", node)["_target_"]
        assert target.startswith(f"{package.__name__}.{name}.")
        importlib.import_module(target.rpartition(".")[0])


def test_an_experiments_own_values_win_over_the_groups():
    cfg = composed("experiment=notebook")
    assert (cfg.name, cfg.data.split, cfg.loss.relu) == ("notebook", "notebook", True)
    assert cfg.trainer.max_epochs == 30
    assert cfg.optimizer.lr == 1e-3
    assert cfg.data.batch_size == 32


def test_the_gpu_trainer_is_one_for_a_gpu():
    cfg = composed("trainer=gpu", "trainer.max_epochs=3", "output_dir=out")
    check_config(cfg)
    assert cfg.trainer._target_ == "lightning.pytorch.Trainer"
    assert (cfg.trainer.accelerator, cfg.trainer.devices) == ("gpu", 1)
    assert cfg.trainer.precision == "bf16-mixed"
    assert cfg.trainer.max_epochs == 3
    assert cfg.channels_last
    assert cfg.data.pin_memory
    assert not cfg.compile
    assert composed("trainer=gpu", "compile=true", "output_dir=out").compile


def test_all_mistakes_are_told_at_once():
    cfg = composed(
        "data.split=holdut", "data.channels=2", "model.hidden=null", "+model.backbone.depht=3",
        "model.backbone.widths=[3,a]", "optimizer.lr=abc", "trainer.max_epochs=two",
        "augment.flip=yes please", "monitor=val/age_mea", "output_dir=out",
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        check_config(cfg)
    lines = [line.strip() for line in str(caught.value).splitlines()]
    starts = [
        "data.split='holdut': must be Literal['holdout', 'kfold', 'random', 'notebook',"
        " 'coral', 'file']",
        "data.channels=2: must be Literal[1, 3]",
        "augment.flip='yes please': must be float",
        "model.hidden=None: must be int",
        "model.backbone.widths=[3, 'a']: must be Sequence[int]",
        "model.backbone.depht: agegender.models.cnn.CNN takes no 'depht'",
        # torch says it in one of two ways, by its version
        ("optimizer.lr='abc': must be float", "optimizer.lr='abc': must be Union[float, "),
        "trainer.max_epochs='two': must be Optional[int]",
        "monitor=val/age_mea: must be one of",
    ]
    assert len(lines) == len(starts)
    for start in starts:
        assert any(line.startswith(start) for line in lines), start


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("os.system", "may be built"),
        ("agegender.nothing.Here", "no such thing"),
        ("agegender.data.table.MAX_PIXELS", "cannot be called"),
        ("agegenderx.Evil", "may be built"),
        ("agegender.data.source.Path", "not a class that may be built"),
        ("lightning.pytorch.cli.instantiate_class", "not a class that may be built"),
        (None, "may be built"),
    ],
)
def test_only_the_projects_own_things_are_built(target, said):
    with pytest.raises(InputError, match=said):
        find_target(target)
    with pytest.raises(InputError, match=r"nested\.deep\._target_"):
        check_config(OmegaConf.create({"nested": {"deep": {"_target_": target}}}))


def test_a_missing_argument_is_told():
    node = OmegaConf.create({"h": {"_target_": "agegender.models.heads.DenseHead", "hidden": 3}})
    with pytest.raises(InputError) as caught:
        check_config(node)
    assert "h.in_features: agegender.models.heads.DenseHead needs it" in str(caught.value)


def test_did_you_mean():
    assert did_you_mean("max_epoch", ["max_epochs", "min_epochs"]) == "; did you mean 'max_epochs'?"
    assert did_you_mean("zzz", ["max_epochs"]) == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer.max_epoch=3"], "did you mean 'max_epochs'?"),
        (["modle=cnn"], "did you mean 'model'?"),
        (["model=cnnn"], "did you mean 'cnn'?"),
        (["data=as_trained"], "data=as_trained is for scripts/evaluate.py"),
        (["seed=x"], "could not be converted to Integer"),
        (["output_dir=nowhere", "ckpt_path=last"], "there is nothing to continue"),
        (["augment=strong", "augment.start_size=64"], "reads images of one size only"),
        (["augment=strong", "augment.start_size=200"], "which is smaller"),
        (["optimizer.lr=-1"], "Invalid learning rate: -1"),
        (["+trainer.check_val_every_n_epoch=2", "seed=-1"], "seed=-1: must be from 0"),
    ],
)
def test_mistakes_on_the_command_line_end_in_a_sentence(words, said, tmp_path):
    told = refusal("train", "data=synthetic", *words, cwd=tmp_path)
    assert said in told
    assert "drawing" not in told, "no data is touched"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(tmp_path):
    told = refusal("train", *SMALL, "trainer=gpu", "output_dir=run", cwd=tmp_path)
    assert "gpu" in told.lower()


def test_a_mistake_ends_the_process_as_it_should(tmp_path):
    done = run_script("train", "data=synthetic", "modle=cnn", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_help_explains_the_groups():
    said = run_here("train", "--help")[1]
    for group in ("data", "augment", "model", "loss", "optimizer", "callbacks", "trainer"):
        assert f"\n  {group} " in said
    assert "ckpt_path=last" in said
    assert "checkpoint" in run_here("evaluate", "--help")[1]
    assert "groups_shown" in run_here("explore", "--help")[1]
    assert "predictions" in run_here("suspects", "--help")[1]
    assert "runs=[" in run_here("compare", "--help")[1]

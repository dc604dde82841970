"""The evaluation of a model that lies beside it: found, and never taken for that of another."""

import json
from pathlib import Path

import cosmoinfer
from cosmoinfer.tasks.model_verdict import ModelVerdict, verdict_beside
from tests.command_line import done, linear, write

QUICK = ("--flow", "maf:hidden=4,layers=1", "--support", "probit", "--epochs", "1", "--ensemble", "1", "--threads", "1")


def test_sample_says_what_an_evaluation_beside_the_model_says_of_it(tmp_path: Path) -> None:
    sims, sky = write(tmp_path / "sims.h5", *linear(240, 1)), write(tmp_path / "sky.h5", None, linear(1, 7)[1])
    for seed in ("1", "2"):
        done("train-flow", sims, "-o", tmp_path / f"flow{seed}.h5", *QUICK, "--seed", seed)
    command = ["sample", tmp_path / "flow1.h5", sky, "--draws", "60", "--threads", "1"]
    assert json.loads(done(*command, "--json"))["model_verdict"] is None
    posterior, metrics = tmp_path / "flow1.posterior.h5", tmp_path / "flow1.posterior.metrics.h5"
    done("sample", tmp_path / "flow1.h5", sims, "--draws", "100", "--threads", "1", "-o", posterior)
    evaluation = cosmoinfer.evaluate(posterior, output=metrics)
    verdict = ModelVerdict(evaluation.verdict.joint, metrics)
    assert verdict_beside(tmp_path / "flow1.h5") == verdict and verdict_beside(tmp_path / "flow2.h5") is None
    assert verdict.describe() in done(*command)
    assert json.loads(done(*command, "--json"))["model_verdict"] == {"joint": verdict.joint, "file": str(metrics)}
    metrics.rename(tmp_path / "metrics.h5")
    assert verdict_beside(tmp_path / "flow1.h5") is None
    posterior.rename(tmp_path / "posterior.h5")
    assert verdict_beside(tmp_path / "flow1.h5") == ModelVerdict(verdict.joint, tmp_path / "metrics.h5")
    (tmp_path / "posterior.h5").write_bytes(b"damaged")
    assert verdict_beside(tmp_path / "flow1.h5") is None
    done("evaluate", tmp_path / "flow2.h5", sims, "--draws", "100", "--threads", "1", "-o", tmp_path / "two.metrics.h5")
    found = verdict_beside(tmp_path / "flow2.h5")
    assert found is not None and found.file == tmp_path / "two.metrics.h5"


def test_a_verdict_that_forbids_a_use_says_so() -> None:
    assert ModelVerdict("over-confident (a)", Path("m.h5")).describe() == (
        "the model, with caution, by m.h5: over-confident (a)"
    )
    assert ModelVerdict("conservative", Path("m.h5")).describe() == "the model, by m.h5: conservative"

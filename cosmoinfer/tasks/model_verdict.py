"""What an evaluation that lies beside a model says of it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cosmoinfer import metrics, storage
from cosmoinfer.errors import UserError
from cosmoinfer.report.document import tone_of_verdict
from cosmoinfer.storage import JSONObject

METRICS, POSTERIOR = "metrics.h5", "posterior.h5"  # of ``run``; others end so, behind the name of the posterior
MAX_HASHED_BYTES = 200 << 20  # of a posterior, which is read to tell whether it is the one that was evaluated


@dataclass(frozen=True)
class ModelVerdict:
    """joint: the verdict in words. file: of the evaluation."""

    joint: str
    file: Path

    def describe(self) -> str:
        """In one line."""
        caution = "with caution, by" if tone_of_verdict(self.joint) == "bad" else "by"
        return f"the model, {caution} {self.file}: {self.joint}"

    def to_json(self) -> JSONObject:
        """{"joint", "file"}."""
        return {"joint": self.joint, "file": str(self.file)}


def verdict_beside(model: Path) -> ModelVerdict | None:
    """Of the first evaluation in the folder of a model that is of this very model; None where there is none."""
    digest = ""
    for path in sorted(model.parent.glob(f"*{METRICS}")):
        with suppress(UserError, OSError):  # a file that cannot be read says nothing
            if not storage.is_kind(path, "metrics"):
                continue
            digest = digest or storage.file_digest(model)
            if _is_of_model(path, digest):
                return ModelVerdict(metrics.read(path).verdict.joint, path)
    return None


def _is_of_model(path: Path, digest: str) -> bool:
    """Whether a metrics file was measured on the model of this digest, or on a posterior of it beside it."""
    inputs = storage.read_meta(path).get("inputs", {})
    if inputs.get("model") == digest:
        return True
    name = POSTERIOR if path.name == METRICS else f"{path.name.removesuffix(f'.{METRICS}')}.h5"
    posterior = path.with_name(name)
    if not posterior.is_file() or posterior.stat().st_size > MAX_HASHED_BYTES:
        return False
    is_drawn_from_it = storage.read_meta(posterior).get("inputs", {}).get("model") == digest
    return bool(is_drawn_from_it and inputs.get("posterior") == storage.file_digest(posterior))

"""Tensors that torch has saved, as users of sbi keep theta and x: weights only, so that nothing is executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cosmoinfer import storage
from cosmoinfer.errors import UserError
from cosmoinfer.memory import check_memory

TENSOR_SUFFIXES = (".pt", ".pth")


def load_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name; a pair is theta and x, a single one has no name.

    Raises UserError for a file of anything else, be it a pickled object.
    """
    import torch  # which nothing else that reads files needs

    check_memory(2 * storage.require_file(path).stat().st_size // 8, f"{path}: its tensors")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of pickle, zip and torch
        raise UserError(
            f"{path}: is no file of tensors that can be read without executing it; "
            "torch.save({'theta': theta, 'x': x}, 'sims.pt') writes one"
        ) from error
    named = _by_name(saved)
    tensors = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    if not tensors or len(tensors) < len(named):
        kinds = ", ".join(sorted({type(value).__name__ for value in named.values()}))
        raise UserError(f"{path}: expected tensors, or a dictionary of them, found {kinds or 'nothing'}")
    return {name: _to_array(tensor) for name, tensor in tensors.items()}


def _by_name(saved: Any) -> Mapping[str, Any]:
    if isinstance(saved, Mapping):
        return {str(name): value for name, value in saved.items()}
    if isinstance(saved, list | tuple):
        names = ("theta", "x") if len(saved) == 2 else tuple(str(number) for number in range(len(saved)))
        return dict(zip(names, saved, strict=True))
    return {"": saved}


def _to_array(tensor: Any) -> np.ndarray:
    plain = tensor.detach().resolve_conj().resolve_neg()
    is_short = str(plain.dtype) == "torch.bfloat16"  # which numpy does not have
    return np.array((plain.float() if is_short else plain).to_dense().numpy())

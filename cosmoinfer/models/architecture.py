"""Architectures in words: what a report calls a stack of members, from the JSON that its network is built from."""

from collections.abc import Mapping, Sequence
from typing import Any

from cosmoinfer.flows import FLOWS
from cosmoinfer.storage import JSONObject


def architecture_name(flow: str, settings: Mapping[str, Any], embedding: Sequence[tuple[str, Any]]) -> str:
    """``nsf hidden=32 dropout=0.2``, ``nsf layers=5 hidden=64 behind mlp``: what tells a flow from others in a mixture.

    Layers are in it where they are not as many as by default.
    """
    usual = {"layers": getattr(FLOWS[flow](), "layers", None)} if flow in FLOWS else {}
    named = [name for name in ("layers", "hidden", "dropout") if settings.get(name) not in (None, 0, usual.get(name))]
    sizes = "".join(f" {name}={settings[name]:g}" for name in named)
    networks = dict.fromkeys(name for name, _ in embedding if name != "none")
    return f"{flow}{sizes}" + (f" behind {', '.join(networks)}" if networks else "")


def architecture_of(config: JSONObject) -> str:
    """The name in a report of a stack with this JSON: a flow with its size and embedding, or other networks."""
    if "flow" not in config:
        return ", ".join(name for name, _ in config["networks"])
    return architecture_name(config["flow"], config["recipe"], config.get("embedding", ()))


def describe_stack(members: int, architecture: str, support: str = "") -> str:
    """``5 x nsf-ar hidden=50, support truncate``."""
    return f"{members} x {architecture}" + (f", support {support}" if support else "")

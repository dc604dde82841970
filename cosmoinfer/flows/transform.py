"""The one seam to nflows: every layer here is its ``Transform``, and a trained flow is handed out as its ``Flow``."""

from nflows.transforms.base import Transform

__all__ = ["Transform"]

"""Finished clips as a data set: for training loops, probes and the gallery. Needs NumPy, and PyTorch for nothing."""

from clipfarm.data.dataset import ClipDataset
from clipfarm.data.errors import DataError

__all__ = ["ClipDataset", "DataError"]

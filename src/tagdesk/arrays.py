"""Names for the arrays that travel between modules; their axes stand beside them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Probs: TypeAlias = NDArray[np.float32]  # (tickets, labels), each in 0..1
Targets: TypeAlias = NDArray[np.bool_]  # (tickets, labels), True where the ticket carries the label
Decisions: TypeAlias = NDArray[np.int8]  # (tickets, labels): 0 none, 1 suggest, 2 automate
Embeddings: TypeAlias = NDArray[np.float32]  # (tickets, width), rows of length 1
Thresholds: TypeAlias = NDArray[np.float64]  # (labels,), inf where a label is never given
FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

"""Array types of the features."""

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Keypoints = NDArray[np.floating]
"""(T, V, 3): x and y in px, score; 0 where missing."""
Picture = NDArray[np.uint8]
"""(H, W) or (H, W, 3), or several of them."""

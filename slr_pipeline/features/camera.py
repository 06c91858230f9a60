"""Pinhole cameras of depth pictures and of their crops."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in pixels; the centre of the first pixel is (u, v) = (1, 1).

    PUBLISHED: pixels count from 1 with NYU's principal point unchanged, in both fidelities. A
    calibration that counts from 0 has cx and cy smaller by one.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def moved(self, left: float, top: float) -> "Camera":
        """The camera after `left` columns and `top` rows are cut off."""
        return Camera(self.fx, self.fy, self.cx - left, self.cy - top)

    def cropped(self, box: tuple[int, int, int, int], size: int) -> "Camera":
        """The camera of a square crop of `size` x `size` pixels.

        The box (x0, y0, x1, y1), ends exclusive, is padded to a square with floor(diff/2) pixels
        on its left or top, then resized edge to edge.
        """
        x0, y0, x1, y1 = box
        width, height = x1 - x0, y1 - y0
        side = max(width, height)
        square = self.moved(x0 - (side - width) // 2, y0 - (side - height) // 2)
        scale = size / side  # of u - 0.5, which is 0 at the picture's edge
        return Camera(
            square.fx * scale,
            square.fy * scale,
            (square.cx - 0.5) * scale + 0.5,
            (square.cy - 0.5) * scale + 0.5,
        )


NYU_CAMERA = Camera(fx=518.8579011745, fy=519.4696111213, cx=325.5824494112, cy=253.7361663340)
"""NYU's colour camera at 640x480. PUBLISHED: SAM-SLR uses it unchanged for 512x512."""


def assumed_camera(width: int, height: int) -> Camera:
    """A camera for pictures of `width` x `height` pixels without calibration.

    ASSUME: f is the longer side, the axis meets the centre. Kinect v2's colour camera has
    f = 1081 px for 1080 rows, so f is close to the side of a full-height square crop.
    """
    longer = float(max(width, height))
    return Camera(longer, longer, (width + 1) / 2, (height + 1) / 2)

"""Paint, clothes and hair. Colours depend on canonical positions, so they move with the skin."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from renderer.body import Array, IntArray, Mesh, RestBody, unit
from renderer.signers import Look, Rgb
from renderer.truth import FACE_68

Flags = npt.NDArray[np.bool_]

EYE = np.array([0.02949, -0.11922, 0.69678])  # centre of the left eye of the canonical body
_HEAD_AXIS_Y = -0.045
_BELT_Z = 0.045
_BUST = np.array([0.093, -0.135, 0.367])  # of the left side
_BUST_M = 0.045
_HAIR_VOLUME_M = {"crop": 0.004, "short": 0.014, "bob": 0.013, "long": 0.012, "bun": 0.008}


@dataclass(frozen=True)
class Figure:
    """A signer's mesh with hair and paint: body vertices first, then those of the hair."""

    faces: IntArray  # (F,3)
    attributes: Array  # (V,8): canonical x, y, z, arm, head, eye, hair mesh, mouth
    hair_rest: Array  # (W,3) m, hair mesh at rest
    cloth: Array  # (B,) 0..1, cover of each body vertex by cloth
    volume: Array  # (B,) m, height of the hair over the scalp
    smooth: sparse.csr_array  # (B,B) mean of the neighbours
    bust: IntArray  # (P,) body vertices that cloth spans smoothly
    span: Array  # (P,B) their positions as means of the other vertices


def srgb_to_linear(colour: Rgb | Array) -> Array:
    """Colour in sRGB 0..255 to linear 0..1 (IEC 61966-2-1)."""
    c = np.asarray(colour, dtype=np.float64) / 255
    linear: Array = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return linear


def linear_to_srgb(linear: Array) -> Array:
    """Linear colour 0..1 to sRGB 0..255."""
    c = np.clip(linear, 0, 1)
    srgb: Array = 255 * np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)
    return srgb


def _arm_coordinate(mesh: Mesh, labels: tuple[str, ...], heads: Array) -> Array:
    """(V,) along the arm: 0 shoulder, 1 elbow, 2 wrist and beyond; below 0 on the rest."""
    along = np.full(len(mesh.canonical), -0.4)
    for s in "LR":

        def group(names: tuple[str, ...], s: str = s) -> Array:
            columns = [i for i, b in enumerate(labels) if b.endswith(s) and b.startswith(names)]
            total: Array = mesh.weights[:, columns].sum(1)
            return total

        points = [heads[labels.index(f"{b}.{s}")] for b in ("upperarm01", "lowerarm01", "wrist")]
        upper, lower = group(("upperarm",)), group(("lowerarm",))
        hand = group(("wrist", "finger", "metacarpal"))
        shares = []
        for a, b in ((0, 1), (1, 2)):
            bone = points[b] - points[a]
            shares.append((mesh.canonical - points[a]) @ bone / (bone @ bone))
        arm = (upper + lower + hand) > 0.5
        coordinate = np.where(upper > lower + hand, shares[0], 1 + np.maximum(shares[1], 0))
        along = np.where(arm, np.where(hand > 0.5, np.maximum(coordinate, 2.05), coordinate), along)
    return along


def hairline(points: Array) -> Array:
    """Height (N,) of canonical points above the hairline, metres."""
    angle = np.abs(np.arctan2(points[:, 0], -(points[:, 1] - _HEAD_AXIS_Y)))
    edge = EYE[2] + np.interp(
        np.degrees(angle),
        [0, 35, 58, 75, 92, 105, 125, 180],
        [0.070, 0.066, 0.045, 0.010, -0.012, -0.03, -0.065, -0.085],
    )
    ear = (np.abs(points[:, 0]) > 0.0745) & (points[:, 2] < EYE[2] + 0.014)
    height: Array = np.where(ear, -1.0, points[:, 2] - edge)
    return height


def _curtain(bottom: float) -> tuple[Array, IntArray]:
    """Hair around the back and the sides of the head, down to `bottom` metres below the eyes."""
    angles = np.radians(np.linspace(68, 292, 57))
    rows = np.linspace(0.06, -bottom, 25)
    flare = 0.006 * np.sin(9 * angles) + 0.004 * np.sin(23 * angles)
    vertices = []
    for row in rows:
        down = np.clip((0.06 - row) / (0.06 + bottom), 0, 1)
        x = (0.084 + 0.012 * down) * np.sin(angles) + flare * np.sin(angles)
        y = _HEAD_AXIS_Y + 0.018 - (0.105 - 0.012 * down) * np.cos(angles) + flare * 0.5
        vertices.append(np.stack([x, y, np.full_like(x, EYE[2] + row)], axis=1))
    n = len(angles)
    i, j = np.meshgrid(np.arange(len(rows) - 1), np.arange(n - 1), indexing="ij")
    a = (i * n + j).ravel()
    quads = np.stack([a, a + 1, a + n + 1, a + n], axis=1)
    return np.concatenate(vertices), np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _knot() -> tuple[Array, IntArray]:
    """A bun: a ball on the crown."""
    rows, columns = 13, 24
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij"
    )
    ball = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1
    ).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (i * columns + j).ravel()
    quads = np.stack([a, a + columns, a + columns + 1, a + 1], axis=1)
    centre = np.array([0.0, 0.02, EYE[2] + 0.135])
    return centre + ball * [0.05, 0.05, 0.042], np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])


def dress(body: RestBody, mesh: Mesh, canonical_heads: Array, look: Look) -> Figure:
    """Hair, clothes and paint attributes of one signer.

    Args:
        canonical_heads: (J,3) bone heads of the canonical body.
    """
    count = len(mesh.canonical)
    canonical = mesh.canonical
    arm = _arm_coordinate(mesh, body.labels, canonical_heads)

    def share(*prefixes: str) -> Array:
        columns = [i for i, b in enumerate(body.labels) if b.startswith(prefixes)]
        total: Array = mesh.weights[:, columns].sum(1)
        return total

    eye, head = share("eye"), share("neck", "head", "eye")
    hair, hair_faces = np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    if look.hair_style in ("bob", "long"):
        hair, hair_faces = _curtain(0.105 if look.hair_style == "bob" else 0.17)
    elif look.hair_style == "bun":
        hair, hair_faces = _knot()
    own_eye = body.head_of("eye.L")
    scale = own_eye[0] / EYE[0]
    centre = np.array([0.0, EYE[1], EYE[2]])
    hair_rest = (hair - centre) * scale + own_eye * [0.0, 1.0, 1.0]
    extra = np.zeros((len(hair), 8))
    extra[:, :3], extra[:, 3], extra[:, 4], extra[:, 6] = hair, -0.4, 1.0, 1.0
    columns = np.stack([arm, head, eye, np.zeros(count), mesh.mouth], axis=1)
    attributes = np.concatenate([np.concatenate([canonical, columns], axis=1), extra])
    covered = np.clip((hairline(canonical) - 0.002) / 0.02, 0, 1) * (head > 0.5) * (eye < 0.5)
    smooth = _neighbours(mesh.faces, count)
    covers = (~is_skin(attributes[:count], look)).astype(np.float64)
    cloth = covers
    for _ in range(4):  # no step at hems
        cloth = covers * (smooth @ cloth)
    folded = np.concatenate([np.abs(canonical[:, :1]), canonical[:, 1:]], axis=1)
    bust = np.flatnonzero(np.linalg.norm(folded - _BUST, axis=1) < _BUST_M)
    return Figure(
        faces=np.concatenate([mesh.faces, hair_faces + count]),
        attributes=attributes,
        hair_rest=hair_rest,
        cloth=cloth,
        volume=covered * _HAIR_VOLUME_M[look.hair_style],
        smooth=smooth,
        bust=bust,
        span=_span(smooth, bust),
    )


def _neighbours(faces: IntArray, count: int) -> sparse.csr_array:
    """Row-normalised adjacency of the mesh (V,V)."""
    i = np.concatenate([faces[:, a] for a in (0, 1, 2, 1, 2, 0)])
    j = np.concatenate([faces[:, a] for a in (1, 2, 0, 0, 1, 2)])
    links = sparse.csr_array((np.ones(len(i)), (i, j)), shape=(count, count))
    links.data[:] = 1.0
    total = np.maximum(links.sum(axis=1), 1.0)
    return sparse.csr_array(sparse.diags_array(1.0 / total) @ links)


def _span(smooth: sparse.csr_array, patch: IntArray) -> Array:
    """(P,V) operator that moves each vertex of the patch to the mean of its neighbours."""
    rows = smooth[patch].toarray()
    inner = np.eye(len(patch)) - rows[:, patch]
    rows[:, patch] = 0.0
    operator: Array = np.linalg.solve(inner, rows)
    return operator


def wear(figure: Figure, body: RestBody, vertices: Array, head: Array, turn: Array) -> Array:
    """Vertices (V+W,3) of one frame with cloth, hair volume and hair mesh.

    Args:
        vertices: (V,3) of the naked body; head: (3,) position of the head bone; turn: (3,3)
            its rotation.
    """
    count = len(vertices)
    own_faces = figure.faces[(figure.faces < count).all(axis=1)]
    dressed = vertices.copy()
    cloth = figure.cloth[:, None]
    dressed[figure.bust] = figure.span @ dressed
    for _ in range(10):  # cloth spans the hollows of the body
        dressed += 0.6 * cloth * (figure.smooth @ dressed - dressed)
    normals = vertex_normals(dressed, own_faces)
    dressed += normals * (0.007 * figure.cloth + figure.volume)[:, None]
    hair = (figure.hair_rest - body.head_of("head")) @ turn.T + head
    return np.concatenate([dressed, hair])


def vertex_normals(vertices: Array, faces: IntArray) -> Array:
    """Area-weighted vertex normals (V,3)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for axis in range(3):
        for k in range(3):
            total[:, axis] += np.bincount(faces[:, k], normal[:, axis], len(vertices))
    return unit(total + 1e-15)


def is_skin(attributes: Array, look: Look) -> Flags:
    """Whether attribute rows (N,8) are bare skin: head, neck, and arms beyond the sleeves."""
    x, y, z, arm, head = attributes[:, :5].T
    neck = np.sqrt(x**2 + (y + 0.005) ** 2 + ((z - 0.585) * 0.8) ** 2) < 0.083
    bare: Flags = (arm > look.sleeve - 0.06) | neck | ((z > 0.575) & (head > 0.3))
    return bare


def albedo(attributes: Array, mesh: Mesh, look: Look) -> Array:
    """Linear colours (N,3) of surface points given their attributes (N,8)."""
    points = attributes[:, :3]
    head, eye, extra, mouth = attributes[:, 4:].T
    skin = is_skin(attributes, look)
    colour = np.where(
        (points[:, 2] > _BELT_Z)[:, None], srgb_to_linear(look.shirt), srgb_to_linear(look.trousers)
    )
    weave = 1 + 0.05 * np.sin(points[:, 0] * 420) * np.sin(points[:, 2] * 380 + points[:, 1] * 200)
    colour = colour * weave[:, None]
    mottle = np.sin(points @ [210.0, 170.0, 250.0]) * np.sin(points @ [-160.0, 240.0, 190.0])
    tone = 1 + 0.03 * mottle
    colour = np.where(skin[:, None], srgb_to_linear(look.skin) * tone[:, None], colour)
    face = (head > 0.5) & (points[:, 1] < -0.06) & (extra < 0.5) & (eye < 0.5)
    colour[face] = _face_paint(points[face], colour[face], mesh, look)
    colour = np.where((mouth > 0.5)[:, None], srgb_to_linear((110, 40, 42)), colour)
    height = hairline(points)
    streak = 1 + 0.25 * np.sin(points[:, 0] * 900 + 3 * np.sin(points[:, 2] * 60))
    haired = ((head > 0.5) & (eye < 0.5) & (height > 0)) | (extra > 0.5)
    soft = np.clip(height / 0.006, 0.3, 1)[:, None]
    soft = np.where((extra > 0.5)[:, None], 1.0, soft)
    hair = srgb_to_linear(look.hair) * streak[:, None]
    colour = np.where(haired[:, None], soft * hair + (1 - soft) * colour, colour)
    return np.where((eye > 0.5)[:, None], _eye_paint(points, look), colour)


def _eye_paint(points: Array, look: Look) -> Array:
    radius = np.hypot(np.abs(points[:, 0]) - EYE[0], points[:, 2] - EYE[2])[:, None]
    white = srgb_to_linear((236, 232, 228))
    iris = np.where(radius < 0.0028, 0.004, srgb_to_linear(look.iris))
    return np.where(radius < 0.0062, iris, np.broadcast_to(white, points.shape))


def _face_paint(points: Array, colour: Array, mesh: Mesh, look: Look) -> Array:
    """Lips, brows and lash lines on face points (N,3) of the given colours (N,3)."""
    marks = mesh.canonical[list(FACE_68)]
    flat = points[:, [0, 2]]
    lips = _inside(flat, marks[48:60][:, [0, 2]]) & (points[:, 1] < marks[48, 1] + 0.012)
    colour = np.where(lips[:, None], srgb_to_linear(look.lips), colour)
    brow = np.zeros(len(points))
    for part in (marks[17:22], marks[22:27]):
        line = part[:, [0, 2]] - [0.0, 0.004]
        line[np.abs(line[:, 0]).argmin(), 1] += 0.0025  # an even brow: no frown
        brow = np.maximum(brow, np.clip(1.6 - _distance(flat, line) / 0.0022, 0, 1))
    dark = srgb_to_linear(look.hair) * 0.6
    colour = colour + 0.8 * brow[:, None] * (dark - colour)
    lash = np.zeros(len(points))
    for part in (marks[36:40], marks[42:46]):
        lash = np.maximum(lash, np.clip(1.5 - _distance(flat, part[:, [0, 2]]) / 0.0012, 0, 1))
    return colour + 0.8 * lash[:, None] * (0.01 - colour)


def _distance(points: Array, line: Array) -> Array:
    """Distance (N,) of points (N,2) to a polyline (M,2)."""
    best = np.full(len(points), np.inf)
    for a, b in itertools.pairwise(line):
        bone = b - a
        t = np.clip((points - a) @ bone / (bone @ bone), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - t[:, None] * bone, axis=1))
    return best


def _inside(points: Array, polygon: Array) -> Flags:
    """Whether points (N,2) are in a polygon (M,2), by the even-odd rule."""
    inside = np.zeros(len(points), dtype=np.bool_)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        if a[1] != b[1]:
            at = a[0] + (points[:, 1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
            inside ^= crosses & (points[:, 0] < at)
    return inside

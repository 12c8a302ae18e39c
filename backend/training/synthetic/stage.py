"""Draws a rendered head and what it wears into one picture, fast: static buffers stay on the graphics side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backend.head_model.render import create_context
from backend.training.samples import SAMPLE_SIDE
from backend.training.synthetic.lighting import LAMPS, Lighting
from backend.training.synthetic.shaders import BACKDROP_FRAGMENT, BACKDROP_VERTEX, DEPTH_FRAGMENT, DEPTH_VERTEX, FRAGMENT, VERTEX
from backend.training.synthetic.views import Camera

F32 = NDArray[np.float32]
Image = NDArray[np.uint8]

NEAR, FAR = 0.02, 20.0  # metres
_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class Surface:
    """Something to draw: vertices (R,3) and normals (R,3) in camera space, metres; ``mesh`` names its static part."""

    mesh: str
    vertices: F32
    normals: F32
    texture: str
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: float = 1.0
    opacity: float = 1.0
    ragged: float = 0.0  # 0: solid; else how much the noise eats from where ``wet`` is below it
    hides: bool = True  # whether points behind it count as hidden


class Stage:
    """An off-screen picture of SAMPLE_SIDE² pixels; a context manager. Raises UserError ``no_opengl``."""

    def __init__(self) -> None:
        self._gl = create_context()
        gl = self._gl
        self._size = (SAMPLE_SIDE, SAMPLE_SIDE)
        self._program = gl.program(vertex_shader=VERTEX, fragment_shader=FRAGMENT)
        self._depth_program = gl.program(vertex_shader=DEPTH_VERTEX, fragment_shader=DEPTH_FRAGMENT)
        self._backdrop_program = gl.program(vertex_shader=BACKDROP_VERTEX, fragment_shader=BACKDROP_FRAGMENT)
        samples = min(_SAMPLES, gl.max_samples)
        self._target = gl.framebuffer(
            [gl.renderbuffer(self._size, 4, samples=samples)], gl.depth_renderbuffer(self._size, samples=samples)
        )
        self._resolved = gl.framebuffer([gl.renderbuffer(self._size, 4)])
        self._depth = gl.depth_texture(self._size)
        self._depth_target = gl.framebuffer(depth_attachment=self._depth)
        self._backdrop = gl.texture(self._size, 3, alignment=1)
        corners = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)], np.float32)
        self._quad = gl.vertex_array(self._backdrop_program, [(gl.buffer(corners.tobytes()), "2f", "corner")])
        self._meshes: dict[str, _Mesh] = {}
        self._textures: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._gl.release()

    def add_mesh(self, name: str, uv: F32, wet: F32, triangles: NDArray[np.int32]) -> None:
        """Keep what stays the same about a mesh: uv (R,2), ``wet (R,)``, triangles (F,3)."""
        self._meshes[name] = _Mesh(self._gl, (self._program, self._depth_program), uv, wet, triangles)

    def add_texture(self, name: str, picture: Image) -> None:
        """Keep a picture (h,w,4), row 0 its top (v = 1)."""
        height, width = picture.shape[:2]
        texture = self._gl.texture((width, height), 4, np.ascontiguousarray(picture[::-1]).tobytes())
        texture.build_mipmaps()
        texture.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
        self._textures[name] = texture

    def has_texture(self, name: str) -> bool:
        """Whether ``add_texture`` has had this name."""
        return name in self._textures

    def draw(
        self, surfaces: Sequence[Surface], camera: Camera, lighting: Lighting, background: Image
    ) -> tuple[Image, Image, F32]:
        """The RGB picture, the foreground (S,S) uint8, and the depth (S,S) in metres of the nearest that ``hides``.

        ``surfaces`` in the order in which see-through ones have to be drawn. Depth is ``FAR`` where there is nothing.
        """
        for surface in surfaces:
            self._meshes[surface.mesh].place(surface.vertices, surface.normals)
        clip = _clip_from_camera(camera).T.astype(np.float32).tobytes()
        picture, foreground = self._draw_picture(surfaces, clip, lighting, background)
        return picture, foreground, self._draw_depth(surfaces, clip)

    def _draw_picture(
        self, surfaces: Sequence[Surface], clip: bytes, lighting: Lighting, background: Image
    ) -> tuple[Image, Image]:
        gl, program = self._gl, self._program
        self._target.use()
        self._target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        gl.disable(gl.DEPTH_TEST | gl.BLEND)
        self._backdrop.write(np.ascontiguousarray(background[::-1]))
        self._backdrop.use(0)
        self._quad.render(gl.TRIANGLE_STRIP)
        gl.enable(gl.DEPTH_TEST | gl.CULL_FACE)
        gl.blend_func = gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA
        _set_lighting(program, lighting)
        program["clip_from_camera"].write(clip)
        for surface in surfaces:
            self._textures[surface.texture].use(0)
            program["tint"].value = surface.tint
            program["gloss"].value = surface.gloss * lighting.gloss
            program["opacity"].value = surface.opacity
            self._meshes[surface.mesh].render(0)
        gl.copy_framebuffer(self._resolved, self._target)
        raw = self._resolved.read(components=4, alignment=1)
        rgba = np.frombuffer(raw, np.uint8).reshape(SAMPLE_SIDE, SAMPLE_SIDE, 4)[::-1]
        return np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])

    def _draw_depth(self, surfaces: Sequence[Surface], clip: bytes) -> F32:
        gl, program = self._gl, self._depth_program
        self._depth_target.use()
        self._depth_target.clear(depth=1.0)
        gl.disable(gl.BLEND)
        program["clip_from_camera"].write(clip)
        for surface in surfaces:
            if surface.hides:
                self._meshes[surface.mesh].render(1)
        raw = np.frombuffer(self._depth.read(alignment=1), np.float32).reshape(SAMPLE_SIDE, SAMPLE_SIDE)[::-1]
        return np.asarray(2 * FAR * NEAR / (FAR + NEAR - (2 * raw - 1) * (FAR - NEAR)), np.float32)


class _Mesh:
    """A mesh's buffers: what stays, and what is written anew for each picture."""

    def __init__(self, gl: Any, programs: Sequence[Any], uv: F32, wet: F32, triangles: NDArray[np.int32]) -> None:
        self._count = len(uv)
        self._moving = gl.buffer(reserve=24 * self._count, dynamic=True)
        fixed = gl.buffer(np.column_stack([uv, wet]).astype(np.float32).tobytes())
        index = gl.buffer(np.ascontiguousarray(triangles, np.int32).tobytes())
        self._arrays = []
        for program in programs:
            lit = "normal" in program
            moving = (self._moving, "3f 3f", "position", "normal") if lit else (self._moving, "3f 12x", "position")
            used = [moving, (fixed, "2f 1f", "uv", "wet")] if lit else [moving]
            self._arrays.append(gl.vertex_array(program, used, index_buffer=index, index_element_size=4))

    def place(self, vertices: F32, normals: F32) -> None:
        """Vertices and normals (R,3) of the next picture."""
        if vertices.shape != (self._count, 3):
            raise ValueError(f"vertices have shape {vertices.shape}, expected {(self._count, 3)}")
        both = np.empty((self._count, 6), np.float32)
        both[:, :3], both[:, 3:] = vertices, normals
        self._moving.write(both)

    def render(self, which: int) -> None:
        """Draw with the program of this number."""
        self._arrays[which].render()


def _set_lighting(program: Any, lighting: Lighting) -> None:
    program["ambient"].write(np.ascontiguousarray(lighting.ambient.T, np.float32).tobytes())
    program["lamp_direction"].write(np.ascontiguousarray(lighting.directions, np.float32).tobytes())
    program["lamp_color"].write(np.ascontiguousarray(lighting.colors, np.float32).tobytes())
    if len(lighting.directions) != LAMPS:
        raise ValueError(f"{len(lighting.directions)} lamps given, expected {LAMPS}")


def _clip_from_camera(camera: Camera) -> NDArray[np.float64]:
    focal, side = camera.focal_px, SAMPLE_SIDE
    cx, cy = camera.principal_point
    return np.array(
        [
            [2 * focal / side, 0, 2 * cx / side - 1, 0],
            [0, -2 * focal / side, 1 - 2 * cy / side, 0],
            [0, 0, (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)],
            [0, 0, 1, 0],
        ]
    )

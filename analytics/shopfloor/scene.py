"""The demo shop inside Blender: builds it from a scene file and renders frames with Cycles. Runs in Blender's Python.

Usage: ``blender -b -P scene.py -- SCENE.json FRAMES.jsonl OUT LAYER SAMPLES FIRST LAST STEP``. Layer ``whole`` is the
picture; ``shadows`` is the picture at half size; ``people`` is the bodies alone with exact edges, lit by the whole shop
and cut by what stands before them, the rest transparent. Frame number -1 is the empty shop. A frame whose picture
exists is left alone, so that an interrupted render goes on where it stopped. Nothing is decided here: meshes, colours,
camera and every joint come from the two files. Only this module imports bpy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix  # type: ignore[import-not-found]

SEED = 11  # the same noise in every frame: what nobody touches cancels out against the empty shop


def material(colour: list[float], rough: float = 0.75) -> Any:
    """Return the matt material of a colour, made once."""
    name = "c" + "-".join(f"{v:.3f}" for v in colour)
    found = bpy.data.materials.get(name)
    if found:
        return found
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Roughness"].default_value = rough
    shader.inputs["Specular"].default_value = 0.15
    return made


def mesh(name: str, vertices: list[list[float]], faces: list[list[int]], colour: list[float], smooth: bool) -> Any:
    """Add a mesh object to the scene."""
    data = bpy.data.meshes.new(name)
    data.from_pydata(vertices, [], faces)
    data.polygons.foreach_set("use_smooth", [smooth] * len(data.polygons))
    data.materials.append(material(colour))
    data.update()
    thing = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(thing)
    return thing


def boxes(blocks: list[dict[str, Any]]) -> None:
    """Add all furniture, one mesh per colour."""
    corners = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    by_colour: dict[tuple[float, ...], list[dict[str, Any]]] = {}
    for block in blocks:
        by_colour.setdefault(tuple(block["colour"]), []).append(block)
    for k, (colour, group) in enumerate(by_colour.items()):
        vertices: list[list[float]] = []
        faces: list[list[int]] = []
        for block in group:
            at = len(vertices)
            ends = list(zip(block["low"], block["high"], strict=True))
            vertices += [[x, y, z] for x in ends[0] for y in ends[1] for z in ends[2]]
            faces += [[at + i for i in face] for face in corners]
        mesh(f"blocks{k}", vertices, faces, list(colour), smooth=False)


def floor() -> None:
    """Add the tiled floor."""
    plane = mesh("floor", [[-4, -4, 0], [14, -4, 0], [14, 10, 0], [-4, 10, 0]], [[0, 1, 2, 3]], [0.5, 0.5, 0.5], False)
    tiles = bpy.data.materials.new("tiles")
    tiles.use_nodes = True
    nodes, links = tiles.node_tree.nodes, tiles.node_tree.links
    place = nodes.new("ShaderNodeTexCoord")
    brick = nodes.new("ShaderNodeTexBrick")
    brick.offset = 0.0
    for name, value in (("Scale", 1.0), ("Mortar Size", 0.006), ("Brick Width", 0.6), ("Row Height", 0.6)):
        brick.inputs[name].default_value = value
    brick.inputs["Color1"].default_value = (0.46, 0.44, 0.41, 1)
    brick.inputs["Color2"].default_value = (0.50, 0.48, 0.45, 1)
    brick.inputs["Mortar"].default_value = (0.33, 0.32, 0.31, 1)
    links.new(place.outputs["Object"], brick.inputs["Vector"])
    shader = nodes["Principled BSDF"]
    links.new(brick.outputs["Color"], shader.inputs["Base Color"])
    shader.inputs["Roughness"].default_value = 0.5
    shader.inputs["Specular"].default_value = 0.2
    plane.data.materials[0] = tiles


def light(place: tuple[float, float, float], size: tuple[float, float], watts: float) -> None:
    """Hang a bright panel under the ceiling, shining down."""
    lamp = bpy.data.lights.new("panel", "AREA")
    lamp.shape, lamp.size, lamp.size_y, lamp.energy = "RECTANGLE", size[0], size[1], watts
    lamp.color = (1.0, 0.95, 0.88)
    thing = bpy.data.objects.new("panel", lamp)
    thing.location = place
    bpy.context.collection.objects.link(thing)


def camera(spec: dict[str, Any]) -> None:
    """Hang the camera: a pinhole that agrees with `shop.Camera.project` to the pixel."""
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.sensor_width = "HORIZONTAL", 36.0
    data.lens = spec["focal"] * 36.0 / spec["width"]
    thing = bpy.data.objects.new("camera", data)
    right, down, forward = spec["axes"]
    rows = [[right[i], -down[i], -forward[i], spec["place"][i]] for i in range(3)]
    thing.matrix_world = Matrix([*rows, [0.0, 0.0, 0.0, 1.0]])
    bpy.context.collection.objects.link(thing)
    bpy.context.scene.camera = thing


def settings(spec: dict[str, Any], layer: str, samples: int) -> None:
    """Choose Cycles on the CPU, one thread, few bounces, no compression of the picture."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples, scene.cycles.seed = samples, SEED
    scene.cycles.use_adaptive_sampling = False  # the noise of a frame must be that of the empty shop
    scene.cycles.use_denoising = False  # Debian builds without a denoiser
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 2, 2, 1
    scene.cycles.transmission_bounces = scene.cycles.transparent_max_bounces = 0
    scene.cycles.caustics_reflective = scene.cycles.caustics_refractive = False
    scene.cycles.sample_clamp_indirect = 2.0
    scene.render.use_persistent_data = True
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x, scene.render.resolution_y = spec["width"], spec["height"]
    scene.render.resolution_percentage = 50 if layer == "shadows" else 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.film_transparent = layer == "people"
    scene.render.image_settings.color_mode = "RGBA" if layer == "people" else "RGB"
    scene.render.image_settings.color_depth = "16"
    scene.render.dither_intensity = 0.0  # noise that the seed does not govern
    scene.view_settings.view_transform, scene.view_settings.look = "Filmic", "Medium High Contrast"
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (0.75, 0.85, 1.0, 1)
    world.node_tree.nodes["Background"].inputs[1].default_value = 0.22
    scene.world = world


def main(scene_file: str, frames_file: str, out: str, layer: str, samples: int, frames: range) -> None:
    """Build the shop and render the frames."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    spec = json.loads(Path(scene_file).read_text())
    settings(spec["camera"], layer, samples)
    camera(spec["camera"])
    floor()
    boxes(spec["blocks"])
    if layer == "people":
        for thing in bpy.context.collection.objects:
            thing.is_holdout = thing.type == "MESH"
    for panel in spec["lights"]:
        light(panel["place"], panel["size"], panel["watts"])
    parts = []
    for person in spec["people"]:
        for k, part in enumerate(person["parts"]):
            thing = mesh(
                f"{person['name']}.{k}", part["vertices"], part["faces"], part["colour"], smooth=part["smooth"]
            )
            parts.append((person["name"], part["bone"], thing))
    wanted = set(frames)
    with Path(frames_file).open() as lines:
        moments = [(n, line) for n, line in enumerate(lines) if n in wanted]
    if -1 in wanted:
        moments.insert(0, (-1, "{}"))
    for number, line in moments:
        target = Path(out) / f"{number:05d}.png"
        if target.exists():
            continue
        people = json.loads(line)
        for name, bone, thing in parts:
            rows = people.get(name, {}).get(bone)
            thing.hide_render = rows is None
            if rows is not None:
                thing.matrix_world = Matrix([rows[0:4], rows[4:8], rows[8:12], [0.0, 0.0, 0.0, 1.0]])
        half = target.with_suffix(".half.png")
        bpy.context.scene.render.filepath = str(half)
        bpy.ops.render.render(write_still=True)
        half.rename(target)


if __name__ == "__main__":
    words = sys.argv[sys.argv.index("--") + 1 :]
    first, last, step = map(int, words[5:8])
    main(words[0], words[1], words[2], words[3], int(words[4]), range(first, last + 1, step))

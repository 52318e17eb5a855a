"""Blender materials, made of shader nodes: no picture files."""

from typing import Any, TypeAlias

import bpy

from clipfarm_render.scene import arena
from clipfarm_render.scene.sample import Vector3

Socket: TypeAlias = Any
"""``bpy.types.NodeSocket``; bpy is published without types."""


def plain(name: str, colour: Vector3, roughness: float) -> bpy.types.Material:
    """Return a material of one colour (linear RGB)."""
    material, surface = _principled(name, roughness)
    surface.inputs["Base Color"].default_value = (*colour, 1)
    return material


def grid(name: str) -> bpy.types.Material:
    """Return the floor: light tiles in two tones with dark lines between them, and a plain ground around the arena.

    Drawn by position in the world, so that the pattern is exact in metres whatever carries it.
    """
    material, surface = _principled(name, roughness=0.75)
    draw = _Nodes(material.node_tree)
    x, y = draw.position()
    half_line = arena.GRID_LINE_WIDTH / arena.GRID_SPACING / 2

    tile_x = draw.math("MULTIPLY", x, 1 / arena.GRID_SPACING)
    tile_y = draw.math("MULTIPLY", y, 1 / arena.GRID_SPACING)
    # Distance to the nearest line, in tiles: 0 on the line, 0.5 in the middle of a tile.
    nearest = draw.math("MINIMUM", draw.math("PINGPONG", tile_x, 0.5), draw.math("PINGPONG", tile_y, 0.5))
    on_line = draw.math("LESS_THAN", nearest, half_line)
    # The sum of the tile's whole coordinates is odd or even: 1 or 0 after folding.
    whole = draw.math("ADD", draw.math("FLOOR", tile_x), draw.math("FLOOR", tile_y))
    odd = draw.math("PINGPONG", whole, 1.0)
    farther = draw.math("MAXIMUM", draw.math("ABSOLUTE", x), draw.math("ABSOLUTE", y))
    outside = draw.math("GREATER_THAN", farther, arena.HALF_SIZE + arena.WALL_THICKNESS / 2)

    tiles = draw.mix(odd, draw.colour(arena.TILE_LIGHT), draw.colour(arena.TILE_DARK))
    lined = draw.mix(on_line, tiles, draw.colour(arena.GRID_LINE))
    ground = draw.mix(outside, lined, draw.colour(arena.SURROUNDINGS))
    draw.link(ground, surface.inputs["Base Color"])
    return material


def _principled(name: str, roughness: float) -> tuple[bpy.types.Material, bpy.types.Node]:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    surface = material.node_tree.nodes["Principled BSDF"]
    surface.inputs["Roughness"].default_value = roughness
    return material, surface


class _Nodes:
    """Writes a node tree as expressions: each method adds a node and returns its output."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self._tree = tree

    def link(self, output: Socket, wanted: Socket) -> None:
        self._tree.links.new(output, wanted)

    def position(self) -> tuple[Socket, Socket]:
        """World position of the shaded point: x and y, m."""
        geometry = self._tree.nodes.new("ShaderNodeNewGeometry")
        separate = self._tree.nodes.new("ShaderNodeSeparateXYZ")
        self.link(geometry.outputs["Position"], separate.inputs[0])
        return separate.outputs["X"], separate.outputs["Y"]

    def math(self, operation: str, *operands: Socket | float) -> Socket:
        node = self._tree.nodes.new("ShaderNodeMath")
        node.operation = operation
        for wanted, operand in zip(node.inputs, operands, strict=False):
            if isinstance(operand, float):
                wanted.default_value = operand
            else:
                self.link(operand, wanted)
        return node.outputs[0]

    def colour(self, value: Vector3) -> Socket:
        node = self._tree.nodes.new("ShaderNodeRGB")
        node.outputs[0].default_value = (*value, 1)
        return node.outputs[0]

    def mix(self, factor: Socket, without: Socket, with_: Socket) -> Socket:
        """``without`` where the factor is 0, ``with_`` where it is 1."""
        node = self._tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        # A Mix node carries the sockets of all its data types; of those of one name, the colours' are these.
        self.link(factor, node.inputs["Factor"])
        first, second = (s for s in node.inputs if s.type == "RGBA")
        self.link(without, first)
        self.link(with_, second)
        return next(s for s in node.outputs if s.type == "RGBA")

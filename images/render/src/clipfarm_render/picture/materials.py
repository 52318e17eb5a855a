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


def floor(name: str, kind: str) -> bpy.types.Material:
    """Return a floor of one of ``looks.FLOORS``, and a plain ground around the arena.

    Drawn by position in the world, so that the pattern is exact in metres whatever carries it.
    """
    material, surface = _principled(name, roughness=0.75)
    draw = _Nodes(material.node_tree)
    x, y = draw.position()
    patterned = PATTERNS[kind](draw, x, y)
    farther = draw.math("MAXIMUM", draw.math("ABSOLUTE", x), draw.math("ABSOLUTE", y))
    outside = draw.math("GREATER_THAN", farther, arena.HALF_SIZE + arena.WALL_THICKNESS / 2)
    ground = draw.mix(outside, patterned, draw.colour(arena.SURROUNDINGS))
    draw.link(ground, surface.inputs["Base Color"])
    return material


def _tiles(draw: "_Nodes", x: Socket, y: Socket) -> Socket:
    """Light tiles in two tones with dark lines between them."""
    half_line = arena.GRID_LINE_WIDTH / arena.GRID_SPACING / 2

    tile_x = draw.math("MULTIPLY", x, 1 / arena.GRID_SPACING)
    tile_y = draw.math("MULTIPLY", y, 1 / arena.GRID_SPACING)
    # Distance to the nearest line, in tiles: 0 on the line, 0.5 in the middle of a tile.
    nearest = draw.math("MINIMUM", draw.math("PINGPONG", tile_x, 0.5), draw.math("PINGPONG", tile_y, 0.5))
    on_line = draw.math("LESS_THAN", nearest, half_line)
    odd = draw.odd(tile_x, tile_y)
    tiles = draw.mix(odd, draw.colour(arena.TILE_LIGHT), draw.colour(arena.TILE_DARK))
    return draw.mix(on_line, tiles, draw.colour(arena.GRID_LINE))


def _plain(draw: "_Nodes", _x: Socket, _y: Socket) -> Socket:
    """One tone."""
    return draw.colour(arena.PLAIN)


def _checker(draw: "_Nodes", x: Socket, y: Socket) -> Socket:
    """Large squares in two tones."""
    odd = draw.odd(*(draw.math("MULTIPLY", each, 1 / arena.CHECKER_SPACING) for each in (x, y)))
    light, dark = map(draw.colour, arena.CHECKER)
    return draw.mix(odd, light, dark)


def _planks(draw: "_Nodes", x: Socket, y: Socket) -> Socket:
    """Planks of wood in three tones, away from the usual camera, each row shifted by half a plank."""
    across = draw.math("MULTIPLY", x, 1 / arena.PLANK_WIDTH)
    row = draw.math("FLOOR", across)
    shift = draw.math("MULTIPLY", draw.math("PINGPONG", row, 1.0), 0.5)
    along = draw.math("ADD", draw.math("MULTIPLY", y, 1 / arena.PLANK_LENGTH), shift)
    # The three tones in turn, along a row and from one to the next.
    number = draw.math("ADD", draw.math("MULTIPLY", row, 5.0), draw.math("FLOOR", along))
    turn = draw.math("WRAP", number, 3.0, 0.0)
    light, middle, dark = map(draw.colour, arena.PLANKS)
    darker = draw.mix(draw.math("GREATER_THAN", turn, 0.5), light, middle)
    toned = draw.mix(draw.math("GREATER_THAN", turn, 1.5), darker, dark)
    half = arena.GAP_WIDTH / 2
    beside = draw.math("LESS_THAN", draw.math("PINGPONG", across, 0.5), half / arena.PLANK_WIDTH)
    before = draw.math("LESS_THAN", draw.math("PINGPONG", along, 0.5), half / arena.PLANK_LENGTH)
    return draw.mix(draw.math("MAXIMUM", beside, before), toned, draw.colour(arena.PLANK_GAP))


PATTERNS = {"tiles": _tiles, "plain": _plain, "checker": _checker, "planks": _planks}
"""What draws each of ``looks.FLOORS``."""


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

    def odd(self, across: Socket, along: Socket) -> Socket:
        """1 where the sum of the whole parts of two numbers is odd, 0 where it is even."""
        whole = self.math("ADD", self.math("FLOOR", across), self.math("FLOOR", along))
        return self.math("PINGPONG", whole, 1.0)

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

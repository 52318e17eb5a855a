"""Looks: which ones there are, and that the usual one is the one of before."""

import numpy as np
import pytest

from clipfarm_contract.experiments import EXPERIMENTS, looks
from clipfarm_contract.experiments.laws import Choice, Log, Uniform
from clipfarm_contract.experiments.scene import Phase
from clipfarm_contract.fields import ContractError
from clipfarm_render import experiments
from clipfarm_render.scene import arena
from clipfarm_render.scene.camera import Camera
from clipfarm_render.scene.look import Look
from clipfarm_render.scene.sample import MIN_CONTRAST, Stream, contrast, contrasting
from helpers.experiments import declared

SIZE = 256
FLOORS = "tiles, plain, checker or planks"
OF_LOOK = {name: [each.name for each in made.factors if each.look] for name, made in EXPERIMENTS.items()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_that_says_nothing_has_the_look_of_before(name):
    declaration = EXPERIMENTS[name]
    values = Stream(declaration, Phase("any", declaration.defaults), 3).values()
    assert Look.of(values, SIZE) == Look.usual(SIZE)
    assert Look.usual(SIZE).camera == Camera(SIZE)
    assert Camera(SIZE).position == looks.position(looks.AZIMUTH, looks.ELEVATION, looks.DISTANCE)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_law_of_the_look_leaves_all_other_values_as_they_were(name):
    declaration = EXPERIMENTS[name]
    of_look = [factor for factor in OF_LOOK[name] if factor.startswith(("camera", "light", "floor"))]
    others = [factor for factor in declaration.by_name if factor not in of_look]
    assert tuple(declaration.by_name) == (*others, *of_look), "they are drawn after all others"
    factors = [declaration.by_name[each] for each in of_look]
    other = {each.name: Choice(each.names[1:]) if each.names else Uniform(each.least, each.most) for each in factors}
    for seed in range(20):
        plain = Stream(declaration, Phase("any", declaration.defaults), seed).values()
        moved = Stream(declaration, Phase("any", {**declaration.defaults, **other}), seed).values()
        assert {factor for factor in plain if plain[factor] != moved[factor]} == {*other}


def test_a_law_that_gives_the_usual_look_is_not_recorded():
    usual = {"cameraAzimuth": {"value": 0}, "cameraElevation": {"value": 45}, "cameraDistance": {"value": 14}}
    usual |= {"lightAzimuth": {"value": 0}, "lightIntensity": {"value": 1}, "floor": {"names": ["tiles"]}}
    assert declared(factors=usual).document() == declared().document()


def test_the_arena_that_has_to_be_in_view_is_the_renderers():
    camera = Camera(1)
    assert (looks.HALF_SIZE, looks.WALL_HEIGHT) == (arena.HALF_SIZE, arena.WALL_HEIGHT)
    assert pytest.approx(camera.sensor_width_mm / 2 / camera.focal_length_mm) == looks.VIEW


@pytest.mark.parametrize(("azimuth", "place"), [(0, (0, -1)), (90, (1, 0)), (180, (0, 1)), (-90, (-1, 0))])
def test_the_camera_goes_around_counter_clockwise(azimuth, place):
    x, y, z = looks.position(azimuth, 45, 14)
    assert (x, y, z) == pytest.approx((*(14 * np.sqrt(0.5) * np.array(place)), 14 * np.sqrt(0.5)))


@pytest.mark.parametrize("azimuth", range(-180, 180, 20))
@pytest.mark.parametrize("elevation", [35, 57.5, 80])
@pytest.mark.parametrize("distance", [14, 15, 20])
def test_what_is_said_to_be_in_view_is_and_the_floor_fills_the_picture(azimuth, elevation, distance):
    camera = Look.of({"cameraAzimuth": azimuth, "cameraElevation": elevation, "cameraDistance": distance}, SIZE).camera
    half = arena.HALF_SIZE
    corners = np.array([(x, y, z) for x in (-half, half) for y in (-half, half) for z in (0, arena.WALL_HEIGHT)])
    seen = camera.project(corners)
    assert looks.sees_all(azimuth, elevation, distance) == bool((seen >= 0).all() and (seen <= SIZE).all())
    assert distance < looks.SURE or looks.sees_all(azimuth, elevation, distance)
    pixels = np.array([(0, 0), (SIZE, 0), (SIZE / 2, 0), (0, SIZE), (SIZE, SIZE)], float)
    eye = np.array(camera.position)
    rays = camera.unproject(pixels, np.ones(len(pixels))) - eye
    assert (rays[:, 2] < 0).all(), "no pixel looks above the horizon"
    ground = eye - rays * (eye[2] / rays[:, 2:])
    assert np.abs(ground[:, :2]).max() < arena.FLOOR_EXTENT


@pytest.mark.parametrize(
    ("factors", "problem"),
    [
        ({"cameraAzimuth": {"min": -180, "max": 180}}, None),
        ({"cameraElevation": {"min": 35, "max": 80}}, None),
        ({"cameraElevation": {"value": 80}, "cameraAzimuth": {"values": [0, 90]}}, None),
        (
            {"cameraElevation": {"value": 70}, "cameraAzimuth": {"min": 0, "max": 50}},
            "cameraDistance: found 14, expected 15 or more, so that the whole arena is in view from azimuth 35 and"
            " elevation 70",
        ),
        ({"cameraElevation": {"value": 70}, "cameraAzimuth": {"value": 35}, "cameraDistance": {"value": 15}}, None),
        ({"cameraElevation": {"value": 30}}, "cameraElevation: found 30, expected 35 to 80 degrees"),
        ({"cameraDistance": {"log": {"min": 14, "max": 40}}}, "cameraDistance: found 14 to 40, expected 14 to 20 m"),
        ({"lightIntensity": {"value": 2}}, "lightIntensity: found 2, expected 0.25 to 1.5"),
        ({"floor": {"names": ["planks", "checker"]}}, None),
        ({"floor": {"names": ["planks", "ice"]}}, f"floor: found ice, expected names: {FLOORS}"),
        ({"floor": {"min": 1, "max": 2}}, f"floor: found 1-2, expected names: {FLOORS}"),
        ({"gravity": {"names": ["planks"]}}, "gravity: found names, expected above 0 to 30 m/s^2"),
    ],
)
def test_a_look_that_cannot_be_is_refused(factors, problem):
    made = declared(phase={"factors": factors})
    assert made.scene.problem(made.phases[0].phase) == problem


@pytest.mark.parametrize(
    ("laws", "count"),
    [
        ({}, 1),
        ({"cameraAzimuth": Choice((0.0, 30.0, 30.0)), "cameraDistance": Choice((14.0, 18.0))}, 4),
        ({"cameraAzimuth": Uniform(20, 20)}, 1),
        ({"cameraAzimuth": Uniform(0, 1)}, None),
        ({"cameraDistance": Log(14, 16)}, None),
        ({"floor": Choice(("tiles", "planks")), "lightAzimuth": Choice((0.0, 90.0, 180.0))}, 6),
        ({"mass": Uniform(0, 1), "x": Choice((0.0, 1.0))}, 1),
    ],
)
def test_looks_are_counted(laws, count):
    push = EXPERIMENTS["push"]
    assert looks.count(push, {**push.defaults, **laws}) == count


def test_clips_of_a_group_share_a_background_whatever_their_laws_are():
    factors = {"cameraAzimuth": {"min": 0, "max": 90}}
    alone, twins = declared(factors=factors), declared(factors=factors, twins={"of": 2, "vary": ["mass"]})
    assert not alone.scene.shares_backgrounds(alone.phases[0].phase)
    assert twins.scene.shares_backgrounds(twins.phases[0].phase)


def test_the_suns_turn_counter_clockwise_and_shine_as_strong_as_is_said():
    turned = Look.of({"lightAzimuth": 90, "lightIntensity": 0.5}, SIZE)
    for sun, usual in zip(turned.suns, arena.SUNS, strict=True):
        x, y, z = usual.position
        assert sun.position == pytest.approx((-y, x, z))
        assert (sun.name, sun.colour, sun.intensity) == (usual.name, usual.colour, usual.intensity / 2)
    assert turned.strength == 0.5
    assert turned.camera == Camera(SIZE)


@pytest.mark.parametrize("name", looks.FLOORS)
def test_every_object_stands_out_from_every_floor_and_no_floor_is_lighter_than_is_said(name):
    tones = {
        "tiles": (arena.TILE_LIGHT, arena.TILE_DARK),
        "plain": (arena.PLAIN,),
        "checker": arena.CHECKER,
        "planks": arena.PLANKS,
    }[name]
    for hue in np.linspace(0, 1, 25):
        colour = contrasting(float(hue), saturation=0.9, value=0.95)
        assert min(contrast(colour, tone) for tone in tones) >= MIN_CONTRAST - 1e-9
    assert tuple(np.max(tones, axis=0)) == pytest.approx(arena.BRIGHTEST[name])


HELD_OUT = {"factors": {"floor": {"names": ["planks"]}, "friction": {"min": 0.7}}}


def test_floors_can_be_held_out():
    made = declared(phase={"factors": {"floor": {"names": ["planks", "tiles"]}}, "exclude": [HELD_OUT]})
    [exclusion] = made.phases[0].phase.exclude
    assert exclusion.to_json() == HELD_OUT
    values = [experiments.draw(made.scene, made.phases[0].phase, seed)[0] for seed in range(200)]
    assert {each["floor"] for each in values} == {"planks", "tiles"}
    assert not any(each["floor"] == "planks" and each["friction"] >= 0.7 for each in values)
    named = declared(phase={"factors": {"floor": {"names": ["planks"]}}, "exclude": [{"objects": ["planks"]}]})
    assert named.scene.problem(named.phases[0].phase) is None, "an object with the name of a floor is no floor"


@pytest.mark.parametrize(
    ("span", "problem"),
    [
        ({"floor": {"names": ["ice"]}}, f'floor.names: found "ice", expected {FLOORS}'),
        ({"floor": {"min": 1}}, f"floor: found numbers, expected names: {FLOORS}"),
        ({"mass": {"names": ["tiles"]}}, 'mass.names: found "tiles", expected min, max, values or value'),
    ],
)
def test_what_is_held_out_has_to_be_values_of_its_factor(span, problem):
    with pytest.raises(ContractError) as refused:
        declared(exclude=[{"factors": span}])
    assert str(refused.value) == f"experiment.exclude[0].factors.{problem}"

"""``occlude``: an object passes behind a screen and comes out."""

from clipfarm_contract.experiments import factors, looks
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Uniform

DECLARATION = Declaration(
    name="occlude",
    meaning="An object passes behind a screen and comes out on the other side",
    factors=(
        factors.size(0.7, 0.9, most=0.9),  # a larger one looks over the screen
        factors.YAW,
        *factors.COLOUR,
        factors.friction(0, 0.05),
        factors.MASS,
        factors.OBJECT,
        Factor("speed", "Speed of the object at the start", Uniform(5, 6), "m/s", 0, 12, above=True),
        Factor(
            "side",
            "Side on which the object starts: 0 the left one, 1 the right one",
            Uniform(0, 1),
            "",
            0,
            1,
            whole=True,
        ),
        Factor(
            "way",
            "Distance of the object's centre from the middle of the screen at the start",
            Uniform(2.8, 3.2),
            "m",
            2.2,
            3.5,
        ),
        Factor(
            "width",
            "Width of the screen. What stands still is rendered once for each width, so take few",
            Uniform(2.4, 2.4),
            "m",
            1.2,
            3.4,
            look=True,
        ),
        factors.GRAVITY,
        *looks.camera(
            30.0, (35.0, 45.0), why=("; farther around, the screen hides less", "; higher up, one sees over the screen")
        ),
        *looks.LIGHT,
        looks.FLOOR,
    ),
)

"""``ramp``: objects on a ramp slide down, or stay."""

from clipfarm_contract.experiments import factors, looks
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Uniform

DECLARATION = Declaration(
    name="ramp",
    meaning="Objects on a ramp slide down if its slope exceeds their friction, or else stay",
    factors=(
        factors.size(0.8, 1.1, most=1.2),
        factors.YAW,
        *factors.COLOUR,
        factors.friction(0.05, 0.7),
        factors.MASS,
        factors.OBJECT,
        Factor(
            "angle",
            "Angle of the ramp. What stands still is rendered once for each angle, so take few",
            Uniform(20, 20),
            "degrees",
            5,
            35,
            look=True,
        ),
        Factor(
            "way",
            "Distance of each object's centre from the foot of the ramp at the start",
            Uniform(3, 3.8),
            "m",
            1,
            3.8,
            each=True,
        ),
        Factor("bodies", "Number of objects, side by side", Uniform(1, 2), "", 1, 3, whole=True),
        factors.GRAVITY,
        *looks.camera(elevation=(40.0, 80.0), why=("", "; lower, the back of a steep ramp would hide what lies on it")),
        *looks.LIGHT,
        looks.FLOOR,
    ),
)

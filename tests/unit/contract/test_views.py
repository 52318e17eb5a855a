"""Further views as a run gives them."""

import pytest

from clipfarm_contract.experiments.views import View
from clipfarm_contract.fields import ContractError
from helpers.experiments import declared


def test_a_view_has_the_usual_camera_and_colours_unless_it_says_otherwise():
    assert View.parse({"name": "same"}, "view") == View("same", 0, 45, 14, ("rgb",))
    side = View.parse({"name": "side", "camera": {"azimuth": 90}, "layers": ["rgb", "depth"]}, "view")
    assert side == View("side", 90, 45, 14, ("rgb", "depth"))
    assert View.parse(side.to_json(), "view") == side


def test_views_are_part_of_the_recipe_and_a_run_without_has_the_recipe_of_before():
    plain, viewed = declared(), declared(views=[{"name": "side"}])
    assert "views" not in plain.document()
    recipes = [made.experiment().recipe(0, 3) for made in (plain, viewed)]
    assert "views" in recipes[0].difference(recipes[1])


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([{"name": "A b"}], 'views[0].name: found "A b", expected letters a-z, digits and dashes'),
        ([{"name": ".."}], 'views[0].name: found "..", expected letters a-z, digits and dashes'),
        ([{"name": "a"}, {"name": "a"}], 'views[1].name: found "a" twice, expected each once'),
        ([{"name": f"v{i}"} for i in range(5)], "views: found 5, expected 4 or fewer"),
        ([{"name": "a", "layers": ["depth"]}], "views[0].layers: found no rgb, expected it among them"),
        (
            [{"name": "a", "camera": {"azimuth": 200}}],
            "views[0].camera.azimuth: found 200, expected -180 to 180 degrees",
        ),
        (
            [{"name": "a", "camera": {"elevation": 20}}],
            "views[0].camera.elevation: found 20, expected 35 to 80 degrees",
        ),
        (
            [{"name": "a", "camera": {"elevation": 70, "azimuth": 45}}],
            "views[0].camera.distance: found 14, expected 15 or more, so that the whole arena is in view",
        ),
        ([{"name": "a", "zoom": 2}], "views[0].zoom: unknown field"),
    ],
)
def test_a_view_that_cannot_be_is_refused(views, message):
    with pytest.raises(ContractError) as refused:
        declared(views=views)
    assert str(refused.value) == f"experiment.{message}"

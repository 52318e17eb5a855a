"""What a child finds in its environment."""

from pathlib import Path

from clipfarm_contract.environment import GPU, RUN_CLIPS, RUN_EXPERIMENT, THREAD_COUNT_VARIABLES
from clipfarm_render.supervising.child_environment import PASSED_ON, compose

HOSTILE = {
    "BLENDER_SYSTEM_DATAFILES": "/x",
    "BLENDER_USER_CONFIG": "/x",
    "CYCLES_SHADER_PATH": "/x",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2",
    "HOME": "/home/somebody",
    "LANG": "de_DE.UTF-8",
    "LC_NUMERIC": "de_DE.UTF-8",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "OCIO": "/x",
    "OCIO_OPTIMIZATION_FLAGS": "0",
    "OPENBLAS_CORETYPE": "Prescott",
    "PYTHONHASHSEED": "7",
    "PYTHONSTARTUP": "/x",
    "TMPDIR": "/x",
    "XDG_CONFIG_HOME": "/x",
}


def test_the_built_in_renderer_gets_what_is_listed_and_what_the_supervisor_sets_and_no_more(tmp_path: Path):
    given = {name: f"of {name}" for name in PASSED_ON}
    made = compose(HOSTILE | given | {RUN_EXPERIMENT: "{}", RUN_CLIPS: "0-9"}, tmp_path, own_command=False)
    assert {name: made[name] for name in PASSED_ON} == given | {"CUDA_VISIBLE_DEVICES": f"of {GPU}"}
    assert {name for name in made if name not in PASSED_ON} == {
        "BLENDER_USER_RESOURCES",
        "HOME",
        "LC_ALL",
        "PYTHONHASHSEED",
        "PYTHONUSERBASE",
        "TMPDIR",
    }
    assert (made["LC_ALL"], made["PYTHONHASHSEED"], made["TMPDIR"]) == ("C.UTF-8", "0", str(tmp_path))
    assert Path(made["HOME"]).parent == tmp_path
    assert Path(made["HOME"]).is_dir()


def test_what_is_not_set_is_not_made_up(tmp_path: Path):
    made = compose({"PATH": "/bin"}, tmp_path, own_command=False)
    assert not made.keys() & {*THREAD_COUNT_VARIABLES, "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"}


def test_a_renderer_of_the_users_own_gets_all_but_the_whole_experiment_and_always_a_home(tmp_path: Path):
    inherited = HOSTILE | {"LICENCE_SERVER": "beans:1234", RUN_EXPERIMENT: "{}", RUN_CLIPS: "0-9"}
    made = compose(inherited, tmp_path, own_command=True)
    set_here = {"BLENDER_USER_RESOURCES": str(tmp_path / "blender"), "PYTHONHASHSEED": "0", "TMPDIR": str(tmp_path)}
    assert made == HOSTILE | {"LICENCE_SERVER": "beans:1234"} | set_here
    for nothing in ({}, {"HOME": ""}):
        assert Path(compose(nothing, tmp_path, own_command=True)["HOME"]).is_dir()

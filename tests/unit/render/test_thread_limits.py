import json
import os
import subprocess
import sys

import pytest

from clipfarm_contract.environment import THREAD_COUNT_VARIABLES, ThreadLimitError, apply_thread_limits


def test_a_supervisor_alone_limits_itself_to_two_threads():
    environ = {}
    limits = apply_thread_limits(2, environ)
    assert limits.blender == 2
    assert environ == dict.fromkeys(THREAD_COUNT_VARIABLES, "2") | {"MKL_THREADING_LAYER": "GNU"}


def test_what_the_caller_has_set_stays():
    environ = {"OMP_NUM_THREADS": "1", "BLENDER_CPU_THREADS": "3", "MKL_THREADING_LAYER": "INTEL"}
    limits = apply_thread_limits(2, environ)
    assert limits.blender == 3
    assert environ["OPENBLAS_NUM_THREADS"] == "1"
    assert environ["MKL_THREADING_LAYER"] == "INTEL"


@pytest.mark.parametrize(
    ("given", "omp", "mkl"),
    [
        ({"OMP_NUM_THREADS": ""}, "2", "2"),
        ({"OMP_NUM_THREADS": "  "}, "2", "2"),
        ({"OMP_NUM_THREADS": "4,2"}, "4", "4"),
        ({"OMP_NUM_THREADS": " 4 , 2 ", "MKL_NUM_THREADS": ""}, "4", "4"),
        ({"MKL_NUM_THREADS": "3,1"}, "2", "3"),
        ({"OMP_NUM_THREADS": "1024"}, "1024", "1024"),
    ],
)
def test_an_empty_variable_is_unset_and_of_a_list_the_first_number_counts(given, omp, mkl):
    environ = dict(given)
    apply_thread_limits(2, environ)
    assert (environ["OMP_NUM_THREADS"], environ["MKL_NUM_THREADS"]) == (omp, mkl)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", ",2", "1025", "9" * 5000, "\u0664"])
def test_a_limit_that_is_no_number_is_refused_by_name(value):
    with pytest.raises(ThreadLimitError, match=r"MKL_NUM_THREADS: found .*, expected a whole number from 1 to 1024"):
        apply_thread_limits(2, {"MKL_NUM_THREADS": value})


def test_importing_the_supervisor_loads_neither_numpy_nor_blender():
    probe = "import sys, json, clipfarm_render.supervising.supervisor; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", probe], env=os.environ))
    assert not {"numpy", "bpy", "kubric", "pybullet"} & set(modules)

"""clipfarm vram --local: this machine's GPUs, on the stand-in for NVIDIA's library."""

from helpers.local import clipfarm


def rows(shown):
    return [line.split() for line in shown.stdout.splitlines() if " GiB " in f"{line} " or "unknown" in line]


def test_each_gpu_has_a_row_with_its_use_and_who_has_it(gpus):
    gpus.write("9216 10240 0\nprocess 4000000 8192\nprocess 4000001 unknown\n2048 10240 0\n")
    shown = clipfarm("vram", "--local", env=gpus.environment | {"COLUMNS": "120"})
    assert (shown.returncode, shown.stderr) == (0, "")
    first, second = rows(shown)
    assert " ".join(first[1:]) == "0 90% 10.0 GiB 0s closed pid 4000000 8 GiB, pid 4000001"
    assert " ".join(second[1:]) == "1 20% 10.0 GiB 0s open"


def test_a_gpu_that_cannot_be_read_is_shown_with_the_reason(gpus):
    gpus.write("9216 10240 0\nlost\n2048 10240 0\n")
    shown = clipfarm("vram", "--local", env=gpus.environment | {"COLUMNS": "120"})
    assert " ".join(rows(shown)[0][1:]) == "0 unknown unknown"
    assert shown.stdout.splitlines()[-1].endswith(" is unknown: NVML, GPU 0: GPU is lost")


def test_where_there_is_no_gpu_one_line_says_so_and_why():
    shown = clipfarm("vram", "--local", env={"LD_LIBRARY_PATH": "/nonexistent"})
    assert (shown.returncode, shown.stderr) == (0, "")
    [line] = shown.stdout.splitlines()
    assert line.startswith("no GPU here: NVML: ")


def test_here_and_in_a_cluster_at_once_is_refused():
    shown = clipfarm("vram", "--local", "--all-namespaces")
    assert shown.returncode == 2
    assert shown.stderr == "found more than one of --local, --all-namespaces and --namespace, expected one at most\n"

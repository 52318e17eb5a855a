"""Cycles' kernels for newer GPUs, compiled by a program that stands for ptxas."""

import subprocess
import sys

import pytest
import zstandard

PTXAS = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
head -c 6 "$4" | grep -q // || exit 1
printf 'machine code for %s' "$2" > "$6"
"""


@pytest.fixture
def compile_kernels(tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ptxas").write_text(PTXAS)
    (tools / "ptxas").chmod(0o755)

    def run(*arguments):
        command = [sys.executable, "-m", "clipfarm_render.kernels", *arguments, "--into", str(tmp_path / "kernels")]
        path = f"{tools}:/usr/bin:/bin"
        return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)

    run.calls = lambda: (tools / "calls").read_text().splitlines() if (tools / "calls").exists() else []
    run.tool = tools / "ptxas"
    return run


def test_blenders_own_ptx_is_compiled_for_each_architecture_and_packed_as_cycles_reads_it(compile_kernels, tmp_path):
    done = compile_kernels("sm_90", "sm_120")
    assert done.returncode == 0, done.stderr
    for name in ("sm_90", "sm_120"):
        packed = (tmp_path / f"kernels/kernel_{name}.cubin.zst").read_bytes()
        assert zstandard.ZstdDecompressor().decompress(packed) == f"machine code for {name}".encode()
    assert [call.split()[:3] for call in compile_kernels.calls()] == [["-arch", n, "-O3"] for n in ("sm_90", "sm_120")]


def test_what_is_there_is_left_alone_unless_it_is_forced(compile_kernels):
    for _ in range(2):
        assert compile_kernels("sm_90").returncode == 0
    assert len(compile_kernels.calls()) == 1
    assert compile_kernels("sm_90", "--force").returncode == 0
    assert len(compile_kernels.calls()) == 2


def test_a_compiler_that_fails_leaves_no_kernel_and_its_words(compile_kernels, tmp_path):
    compile_kernels.tool.write_text("#!/bin/sh\necho 'sm_31 is not supported' >&2\nexit 1\n")
    done = compile_kernels("sm_31")
    assert (done.returncode, list((tmp_path).glob("kernels/*"))) == (2, [])
    assert done.stderr.splitlines()[-1] == "kernels: ptxas for sm_31 failed: sm_31 is not supported"


SMALL = """.version 7.0
.target sm_75
.address_size 64
.visible .entry add(.param .u64 p, .param .f32 x)
{
    .reg .f32 %f<3>;
    .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [p];
    ld.param.f32 %f1, [x];
    cvta.to.global.u64 %rd2, %rd1;
    ld.global.f32 %f2, [%rd2];
    add.f32 %f2, %f2, %f1;
    st.global.f32 [%rd2], %f2;
    ret;
}
"""


@pytest.mark.torch
@pytest.mark.parametrize("architecture", ["sm_90", "sm_100", "sm_120"])
def test_nvidias_own_assembler_makes_the_same_bytes_twice(architecture, tmp_path):
    """Of a small kernel in place of Blender's, which takes nine minutes."""
    lib = tmp_path / "packages" / "bpy" / "4.2" / "scripts" / "addons_core" / "cycles" / "lib"
    lib.mkdir(parents=True)
    (tmp_path / "packages" / "bpy" / "__init__.py").touch()
    (lib / "kernel_compute_75.ptx.zst").write_bytes(zstandard.ZstdCompressor().compress(SMALL.encode()))
    made = []
    for folder in ("here", "elsewhere"):
        (temporary := tmp_path / folder / "temporary").mkdir(parents=True)
        program = [sys.executable, "-m", "clipfarm_render.kernels", architecture, "--into", str(tmp_path / folder)]
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "packages"), "TMPDIR": str(temporary)}
        done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append((tmp_path / folder / f"kernel_{architecture}.cubin.zst").read_bytes())
    assert made[0] == made[1]
    assert zstandard.ZstdDecompressor().decompress(made[0]).startswith(b"\x7fELF")


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(compile_kernels, tmp_path):
    (tmp_path / "kernels").write_text("no folder")
    done = compile_kernels("sm_90")
    assert (done.returncode, compile_kernels.calls()) == (2, [])
    assert done.stderr.startswith(f"kernels: {tmp_path}/kernels: cannot be written (File exists)")

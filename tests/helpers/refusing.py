"""A stand-in for file systems that refuse what local ones do: refusing.c, built here."""

import errno
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def compile_library(folder: Path) -> Path:
    """Compile the library into a folder and return its path."""
    target = folder / "refusing.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", target, SOURCE, "-ldl"], check=True, text=True
    )
    return target


def variables(library: Path, *rules: tuple[str, str, int], only_while: Path | None = None) -> dict[str, str]:
    """Return the variables with which a program meets the rules, each (call, part of a path, error's number)."""
    rule = ";".join(f"{call} {part} {number}" for call, part, number in rules)
    condition = {"REFUSE_WHILE": str(only_while)} if only_while else {}
    assert all(number in errno.errorcode for _, _, number in rules)
    return {"LD_PRELOAD": str(library), "REFUSE": rule} | condition

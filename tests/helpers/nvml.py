"""A stand-in for libnvidia-ml.so.1, compiled from C, whose numbers a test changes while a run is going."""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml_stub.c")


def compile_stub(folder: Path) -> Path:
    """Compile the library into a folder that goes on LD_LIBRARY_PATH; return the folder."""
    target = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", target, SOURCE], check=True)
    return folder


class Gpus:
    """The GPUs that the stand-in shows."""

    def __init__(self, file: Path, library: Path) -> None:
        self._file = file
        self.environment = {"LD_LIBRARY_PATH": str(library), "NVML_STUB": str(file)}

    def show(self, *used: float, total: int = 10_000, reserved: int = 0, header: str = "") -> None:
        """Show one GPU for each fraction of used memory."""
        lines = [f"{int(fraction * total)} {total + reserved} {reserved}" for fraction in used]
        self.write("\n".join([*([header] if header else []), *lines]) + "\n")

    def take_away(self) -> None:
        """Make every call fail, as after an update of the driver."""
        self.write("gone\n")

    def write(self, text: str) -> None:
        """Show what a text says, in the form that nvml_stub.c describes."""
        new = self._file.with_suffix(".new")
        new.write_text(text)
        new.replace(self._file)

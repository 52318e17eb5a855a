"""What a clip was made on: as much of a machine as a clip's bytes may depend on."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipfarm_contract.fields import Fields

UNKNOWN_GPU = "a GPU that its driver does not name"


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor, and the GPU if the clip was rendered on one."""

    processor: str
    """Its name, with what the kernel knows of its generation, as ``AMD EPYC (family 25, model 17)``: virtual machines
    leave the number out of the name."""
    gpu: str = ""
    """Name of the GPU; of several kinds, all their names. Empty: the clip was rendered on the processor."""
    driver: str = ""
    """Version of the GPU's driver; empty if it is not known."""

    @classmethod
    def parse(cls, value: object, where: str) -> "Machine":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object.
        """
        fields = Fields(value, where)  # a later version may have more of them
        return cls(fields.take("processor", str), fields.take("gpu", str, ""), fields.take("driver", str, ""))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "processor": self.processor,
            **({"gpu": self.gpu} if self.gpu else {}),
            **({"driver": self.driver} if self.driver else {}),
        }

    def __str__(self) -> str:
        if not self.gpu:
            return self.processor
        return (
            f"{self.gpu} (driver {self.driver}), {self.processor}" if self.driver else f"{self.gpu}, {self.processor}"
        )


def processor() -> str:
    """Return the name of this machine's processor, as :attr:`Machine.processor`."""
    try:
        return named(Path("/proc/cpuinfo").read_text().splitlines())
    except OSError:
        return platform.processor() or platform.machine()


def named(cpuinfo: Iterable[str]) -> str:
    """Return a processor's name by the lines of ``/proc/cpuinfo``; empty if they hold none."""
    first: dict[str, str] = {}
    for line in cpuinfo:
        key, _, value = line.partition(":")
        first.setdefault(key.strip(), value.strip())
    name, family, model = (first.get(key, "") for key in ("model name", "cpu family", "model"))
    return f"{name} (family {family}, model {model})" if name and family and model else name

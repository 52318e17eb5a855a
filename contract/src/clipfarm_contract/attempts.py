"""How often a clip ran out of GPU memory, as its result keeps it: attempts count by clip, and not by block.

A supervisor writes the count before it ends. So a pod that is killed between two attempts neither loses nor doubles it,
and the next pod of the index reads it.
"""

from dataclasses import dataclass
from typing import Any

from clipfarm_contract.fields import ContractError, Fields, show

MOST_JOB = 253
"""Characters."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts at one clip within one Job: another Job counts from zero."""

    job: str
    """What identifies the Job: its UID."""
    ran_out: int
    """Attempts so far that ran out of GPU memory."""

    @classmethod
    def parse(cls, value: object, where: str) -> "Attempts":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object.
        """
        fields = Fields(value, where)  # a later version may have more of them
        job, ran_out = fields.take("job", str), fields.take("ranOut", int)
        if not 0 < len(job) <= MOST_JOB:
            raise ContractError(f"{where}.job: found {show(job)}, expected 1 to {MOST_JOB} characters")
        if ran_out < 0:
            raise ContractError(f"{where}.ranOut: found {show(ran_out)}, expected 0 or more")
        return cls(job, ran_out)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"job": self.job, "ranOut": self.ran_out}

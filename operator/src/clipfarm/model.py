"""What the types of the run and of its status are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from clipfarm.units import (
    CPUS_PATTERN,
    DURATION_PATTERN,
    QUANTITY_PATTERN,
    parse_cpus,
    parse_duration,
    parse_quantity,
)

NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _read(parse: Any) -> BeforeValidator:
    def read(value: object) -> object:
        if not isinstance(value, str):
            parse("")  # anything but a string is refused with the parser's own words
        return parse(value)

    return BeforeValidator(read)


Seconds = Annotated[float, _read(parse_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
"""Written as ``30s``, ``5m``, ``7d``; held in seconds."""
Bytes = Annotated[int, _read(parse_quantity), WithJsonSchema({"type": "string", "pattern": QUANTITY_PATTERN})]
"""Written as ``2Gi``; held in bytes."""
Cpus = Annotated[float, _read(parse_cpus), WithJsonSchema({"type": "string", "pattern": CPUS_PATTERN})]
"""Written as ``2``, ``0.5`` or ``500m``."""


class Model(BaseModel):
    """Base of all parts: frozen, camelCase outside, no unknown fields, no silent conversions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        use_attribute_docstrings=True,  # they become the descriptions that `kubectl explain` shows
    )

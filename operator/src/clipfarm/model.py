"""What the types of the run and of its status are made of."""

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from clipfarm.cel import VALIDATIONS, FieldRule, Rule
from clipfarm.units import (
    CPUS_PATTERN,
    DURATION_PATTERN,
    QUANTITY_PATTERN,
    parse_cpus,
    parse_duration,
    parse_quantity,
)

Finite = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _read(parse: Any) -> BeforeValidator:
    def read(value: object) -> object:
        if not isinstance(value, str):
            parse("")  # anything but a string is refused with the parser's own words
        return parse(value)

    return BeforeValidator(read)


Seconds = Annotated[
    float,
    _read(parse_duration),
    # The pattern alone would take the empty text; without a bound the API server thinks its rules too costly.
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "minLength": 1, "maxLength": 40}),
]
"""Written as ``30s``, ``5m``, ``7d``; held in seconds."""
Bytes = Annotated[int, _read(parse_quantity), WithJsonSchema({"type": "string", "pattern": QUANTITY_PATTERN})]
"""Written as ``2Gi``; held in bytes."""
Cpus = Annotated[float, _read(parse_cpus), WithJsonSchema({"type": "string", "pattern": CPUS_PATTERN})]
"""Written as ``2``, ``0.5`` or ``500m``."""

ABOVE_ZERO = FieldRule("more than 0", holds=lambda value: value > 0, cel="self.matches('[1-9]')")
PositiveSeconds = Annotated[Seconds, ABOVE_ZERO]
PositiveBytes = Annotated[Bytes, ABOVE_ZERO]
PositiveCpus = Annotated[Cpus, ABOVE_ZERO]

MOST_CHARACTERS = 1024
MOST_ENTRIES = 64
"""Of a list or a map that says nothing else: the API server has to know the largest one."""
NO_NUL = r"^[^\x00]*$"
"""The kernel takes no NUL in a path or in an argument."""


def without_nulls(value: object) -> object:
    """Return a map without its entries of value null, which are none to the API server; anything else as it is."""
    return {name: each for name, each in value.items() if each is not None} if isinstance(value, dict) else value


Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]
FileName = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS, pattern=NO_NUL)]
"""A path, or what else is handed to a program."""
Argument = Annotated[str, Field(max_length=4096, pattern=NO_NUL)]
"""What may be long: an address with its signature, a script."""
Texts = Annotated[dict[str, Text], Field(max_length=MOST_ENTRIES), BeforeValidator(without_nulls)]
"""A map of texts; an entry without a value is none, as the API server has it."""
Labels = Annotated[dict[str, str], BeforeValidator(without_nulls)]
"""A map of texts that Kubernetes itself bounds."""


def _hexadecimal(digits: int, of: str = "") -> Callable[[str], str]:
    def checked(text: str) -> str:
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", text):
            raise ValueError(f"expected {digits} hexadecimal digits{of}")
        return text

    return checked


Sha256 = Annotated[
    str, AfterValidator(_hexadecimal(64)), WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})
]
Commit = Annotated[
    str, AfterValidator(_hexadecimal(40, ", a commit")), WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{40}$"})
]


class Model(BaseModel):
    """Base of all parts: frozen, camelCase outside, no unknown fields, no silent conversions."""

    shape: ClassVar[str] = "an object"
    """What is expected of a value that is none, in words."""
    rules: ClassVar[tuple[Rule, ...]] = ()
    """Rules about several fields, in order: the first that is broken is reported."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        use_attribute_docstrings=True,  # they become the descriptions that `kubectl explain` shows
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, value: object) -> object:
        """Take a field of value null for one that is left out, as the API server does."""
        if not isinstance(value, dict) or all(each is not None for each in value.values()):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {name: each for name, each in value.items() if each is not None or name not in known}

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        for rule in self.rules:
            if problem := rule.problem(self):
                raise ValueError(problem)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler.resolve_ref_schema(handler(schema))
        if cls.rules:
            made[VALIDATIONS] = [rule.validation() for rule in cls.rules]
        return made

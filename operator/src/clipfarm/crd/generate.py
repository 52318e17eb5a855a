"""From pydantic's JSON schema to the structural schema that the API server takes."""

from typing import Any

import yaml
from pydantic import BaseModel

from clipfarm.cel import VALIDATIONS
from clipfarm.crd.rules import IMMUTABLE
from clipfarm.model import MOST_CHARACTERS, MOST_ENTRIES
from clipfarm.run import RunSpec
from clipfarm.run_status import UNSEEN, RunStatus
from clipfarm.units import DURATION_PATTERN, QUANTITY_PATTERN, duration_text, quantity_text

GROUP, VERSION, PLURAL, KIND = "clipfarm.dev", "v1alpha1", "benchmarkruns", "BenchmarkRun"
NAME = f"{PLURAL}.{GROUP}"
KEPT = (
    "type",
    "description",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
)
WORDS_OF_A_RULE = ("rule", "message", "reason", "fieldPath")

COLUMNS = (
    ("Phase", "string", ".status.phase", "Phase of the run", 0),
    ("Reason", "string", ".status.reason", "Most important reason of its conditions, in one word", 0),
    ("Rendered", "integer", ".status.rendered", "Clips that are complete", 0),
    ("Encoded", "integer", ".status.encoded", "Clips with features", 0),
    ("Failed", "integer", ".status.failed", "Clips that failed for good", 0),
    ("Total", "integer", ".status.total", "Clips that the run asks for", 0),
    ("Held", "integer", ".status.heldClips", "Clips that could run and are held back", 0),
    ("ETA", "string", ".status.eta", "Time left", 0),
    ("Age", "date", ".metadata.creationTimestamp", "", 0),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', "Message of the condition Ready", 1),
)


def custom_resource_definition() -> dict[str, Any]:
    """Return the whole CustomResourceDefinition."""
    spec = _schema(RunSpec)
    spec[VALIDATIONS] += IMMUTABLE
    phases = spec["properties"]["experiment"]["properties"]["phases"]
    phases |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    _bound_texts(spec)
    status = _schema(RunStatus)
    # All but these are left out until an operator has looked at a run: unknown, not zero.
    status["required"] = ["phase", "observedGeneration"]
    status["properties"]["conditions"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "benchmarkrun",
                "shortNames": ["bmr"],
                "categories": ["all"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path}
                        | ({"description": text} if text else {})
                        | ({"priority": priority} if priority else {})
                        for name, kind, path, text, priority in COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": _root(spec, status)},
                }
            ],
        },
    }


RUN_NAME: dict[str, Any] = {"type": "string", "maxLength": 52, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"}
"""Of a run: as :class:`clipfarm.run.Metadata` has it, in words for the API server's messages."""


def as_yaml() -> str:
    """Return the definition as the file that is installed."""
    head = "# Made by `make crds` from operator/src/clipfarm/run.py, run_status.py and crd/; do not edit.\n"
    return head + yaml.dump(custom_resource_definition(), Dumper=_Plain, sort_keys=False, width=110)


class _Plain(yaml.SafeDumper):
    """Writes a value that stands in several places out in each, instead of as an anchor and aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _root(spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": "A run: physics clips with V-JEPA 2 features, made from one description.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # It is a label of all that is made for the run, and the beginning of host names, which have no dots.
            "metadata": {"type": "object", "properties": {"name": RUN_NAME}},
            "spec": spec | {"description": "What is wanted."},
            "status": status | {"description": "What there is.", "default": UNSEEN},
        },
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    document = model.model_json_schema(by_alias=True)
    return _structural(document, document.get("$defs", {}))


def _structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without references, titles, unions and other words that a structural schema lacks."""
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        node = target | {key: value for key, value in node.items() if key != "$ref"}
    if "anyOf" in node:
        # Of the kind "a value or null": here a field that is left out.
        (other,) = (each for each in node["anyOf"] if each.get("type") != "null")
        return _structural(other | {key: value for key, value in node.items() if key != "anyOf"}, definitions)
    made = {key: node[key] for key in KEPT if key in node}
    if "description" in made:
        made["description"] = " ".join(made["description"].replace("``", "").split())
    if "const" in node:
        made["enum"] = [node["const"]]
    for name, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if name in node:
            made |= {bound: node[name], name: True}
    if node.get("type") == "integer":
        made["format"] = "int64"
    if "items" in node:
        made["items"] = _structural(node["items"], definitions)
    if isinstance(node.get("additionalProperties"), dict):
        made["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if "properties" in node:
        made["properties"] = {name: _structural(each, definitions) for name, each in node["properties"].items()}
        if node.get("required"):
            made["required"] = node["required"]
    made |= _default(node, made)
    # pydantic sorts keys; the file has each rule before its message.
    rules = [{key: rule[key] for key in WORDS_OF_A_RULE if key in rule} for rule in node.get(VALIDATIONS, ())]
    return made | ({VALIDATIONS: rules} if rules else {})


def _default(node: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    default = node.get("default")
    if default is None:
        return {}
    if made.get("pattern") == DURATION_PATTERN:
        return {"default": duration_text(default)}
    if made.get("pattern") == QUANTITY_PATTERN:
        return {"default": quantity_text(default)}
    if "properties" in made and not made.get("required"):
        # Written out, because rules are checked on the default as it is, before its fields get their own defaults.
        return {"default": {name: each["default"] for name, each in made["properties"].items() if "default" in each}}
    return {"default": list(default) if isinstance(default, tuple) else default}


def _bound_texts(schema: dict[str, Any]) -> None:
    """Bound texts and lists: the API server estimates what a rule may cost by the largest value it could meet."""
    if schema.get("type") == "string" and "enum" not in schema:
        schema.setdefault("maxLength", MOST_CHARACTERS)
    if schema.get("type") == "array":
        schema.setdefault("maxItems", MOST_ENTRIES)
        _bound_texts(schema["items"])
    if "additionalProperties" in schema:
        schema.setdefault("maxProperties", MOST_ENTRIES)
        _bound_texts(schema["additionalProperties"])
    for each in schema.get("properties", {}).values():
        _bound_texts(each)

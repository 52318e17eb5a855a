"""Ways to write a run, and what kubectl and the API server make of each; ``clipfarm local`` has to take it the same."""

from dataclasses import dataclass
from typing import Any

from helpers.bad_runs import GOOD

REFUSED = object()


@dataclass(frozen=True)
class Spelling:
    """One file."""

    name: str
    content: bytes
    field: str
    """Where to look, as ``spec.seed``."""
    value: Any
    """What has to stand there, with defaults filled in; or ``REFUSED``."""
    stricter: bool = False
    """Whether kubectl takes it, and loses something without a word."""


def _line(old: str, new: str) -> bytes:
    """The good run with one line in place of another."""
    assert old in GOOD
    return GOOD.replace(old, new).encode()


def _seed(text: str, value: Any, *, stricter: bool = False) -> Spelling:
    return Spelling(f"seed {text}", _line("seed: 42", f"seed: {text}"), "spec.seed", value, stricter)


def _mass(text: str, value: Any) -> Spelling:
    return Spelling(f"mass {text}", _line("max: 3}", f"max: {text}}}"), "spec.experiment.phases.0.mass.max", value)


def _suspend(text: str, value: Any) -> Spelling:
    return Spelling(f"suspend {text}", _line("seed: 42", f"suspend: {text}"), "spec.suspend", value)


def _phase(text: str, value: Any) -> Spelling:
    return Spelling(f"phase {text}", _line("name: B", f"name: {text}"), "spec.experiment.phases.1.name", value)


def _render(text: str, field: str, value: Any, *, stricter: bool = False) -> Spelling:
    return Spelling(f"render{text!r}", _line("seed: 42", f"render:{text}"), f"spec.render{field}", value, stricter)


def _more(text: str, field: str, value: Any, *, stricter: bool = False) -> Spelling:
    return Spelling(f"more {text!r}", _line("seed: 42", text), field, value, stricter)


_PHASES = "spec.experiment.phases"
_MERGED = """
  experiment:
    phases:
    - {name: A, clips: {start: 0, end: 9}, friction: &f {min: 0.5, max: 0.9}, mass: &m {min: 0.5, max: 3}}
    - {name: B, clips: {start: 10, end: 29}, friction: %s, mass: *m}
"""


def _merge(text: str, value: Any, *, stricter: bool = False) -> Spelling:
    begin, end = GOOD.index("\n  experiment"), GOOD.index("\n  encode")
    content = GOOD[:begin] + (_MERGED % text).rstrip() + GOOD[end:]
    return Spelling(f"merge {text}", content.encode(), f"{_PHASES}.1.friction", value, stricter)


def _listed(run: str, version: str = "v1", kind: str = "List") -> bytes:
    item = "\n- " + run.strip().replace("\n", "\n  ")
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{resourceVersion: ''}}\nitems:{item}\n".encode()


_JSON = """{"apiVersion": "clipfarm.dev/v1alpha1", "kind": "BenchmarkRun", "metadata": {"name": "friction"}, "spec": {
\t"seed": %s, "clips": {"start": 0, "end": 9}, "encode": {"enabled": false}, "experiment": {"phases": [
\t{"name": "A\\ud83d\\ude00", "clips": {"start": 0, "end": 9}, "friction": {"min": 1, "max": 1}, "mass": {"min": 1,
"max": 1}}]}}}"""


def _json(text: str, value: Any, *, stricter: bool = False) -> Spelling:
    return Spelling(f"JSON seed {text}", (_JSON % text).encode(), "spec.seed", value, stricter)


def _file(name: str, content: bytes, value: Any = 42, *, stricter: bool = False) -> Spelling:
    return Spelling(name, content, "spec.seed", value, stricter)


SPELLINGS = [
    # Whole numbers.
    *[
        _seed(text, value)
        for text, value in {
            "20:30": REFUSED, "190:20:30": REFUSED, "017": 15, "08": 8, "0o17": 15, "0O17": 15, "0o8": REFUSED,
            "0x1F": 31, "0X_1f": 31, "0b101": 5, "1_000": 1000, "_1": REFUSED, "1e3": 1000, "1E+3": 1000, "1.0": 1,
            "1.": 1, "1.5": REFUSED, "+1": 1, "-0": 0, "-1": REFUSED, "1e15": 10**15, "1e16": REFUSED, "1e21": REFUSED,
            "9007199254740991": 2**53 - 1, "9007199254740992": REFUSED, "18446744073709551616": REFUSED,
            "9" * 400: REFUSED, "1e400": REFUSED, ".nan": REFUSED, ".inf": REFUSED, "nan": REFUSED, "~": 0, "null": 0,
            "NULL": 0, "": 0, "'1'": REFUSED, "true": REFUSED, "y": REFUSED, "2001-01-01": REFUSED, "1,000": REFUSED,
            "!!int 7": 7, "!!int '7'": 7, "!!int 7.0": REFUSED, "!!float 7": 7, "!!str 7": REFUSED, "!own 7": REFUSED,
            "!!null ''": 0, "!!binary Nw==": REFUSED, "&a 7": 7, "*a": REFUSED, "&a [*a]": REFUSED, "|\n    7": REFUSED,
            "\n    7": 7, "7 # seven": 7, "7#seven": REFUSED, "\t7": 7, "[7]": REFUSED,
            "{}": REFUSED, "\uff10": REFUSED,
        }.items()
    ],
    # Numbers.
    *[
        _mass(text, value)
        for text, value in {
            "3.5": 3.5, "+.5e1": 5, ".5": 0.5, "5.": 5, "5e-1": 0.5, "1_0.5": 10.5, "1e3": 1000, "010": 8,
            "0x10": 16, "1e-400": REFUSED, "-.inf": REFUSED, ".NaN": REFUSED, "'3'": REFUSED, "3:30": REFUSED,
        }.items()
    ],
    # Booleans.
    *[
        _suspend(text, value)
        for text, value in {
            "true": True, "TRUE": True, "y": True, "Yes": True, "ON": True, "off": False, "N": False, "no": False,
            "tRUE": REFUSED, "yES": REFUSED, "'true'": REFUSED, "1": REFUSED, "0": REFUSED, "!!bool 'yes'": True,
            "!!bool 1": REFUSED, "~": False,
        }.items()
    ],
    # Texts.
    *[
        _phase(text, value)
        for text, value in {
            "007": REFUSED, "1e3": REFUSED, "'1e3'": "1e3", "1:30": "1:30", "2001-01-01": "2001-01-01", "y": REFUSED,
            "'y'": "y", "~": REFUSED, "''": REFUSED, "null": REFUSED, "off": REFUSED, "Off-road": "Off-road",
            "!!str 7": "7", "!!str": REFUSED, "!own 7": "7", "!!binary aGVsbG8=": "hello",
            "!!timestamp 2001-01-01": "2001-01-01", "!!timestamp soon": REFUSED, ".": ".", "=": "=",
            '"\\u00e9\\x41\\U0001F600"': "éA😀", '"\\ud83d"': REFUSED, '"\\z"': REFUSED,
            '"\\/"': REFUSED, '"\\\\/"': "\\/", "é": "é", "a b": "a b",
            '"a\\\n      b"': "ab", "'it''s'": "it's", "x" * 1024: "x" * 1024, "x" * 1025: REFUSED,
        }.items()
    ],
    Spelling("phase of invalid binary", _line("name: B", "name: !!binary /w=="), f"{_PHASES}.1.name", REFUSED, True),
    # What is left out, empty or null.
    _render("", ".threads", 1), _render(" ~", ".threads", 1), _render(" {}", ".threads", 1),
    _render(" []", "", REFUSED),
    _render(" ''", "", REFUSED), _render(" {threads: }", ".threads", 1),
    _render(" {thread: }", "", REFUSED, stricter=True),
    _render(" {pod: {nodeSelector: {a: }}}", ".pod.nodeSelector", {}),
    _render(" {pod: {nodeSelector: {y: b}}}", ".pod.nodeSelector", {"true": "b"}),
    _render(" {pod: {nodeSelector: {0x10: b}}}", ".pod.nodeSelector", {"16": "b"}),
    _render(" {pod: {nodeSelector: {1.5: b}}}", "", REFUSED, stricter=True),
    _render(" {pod: {nodeSelector: {a: 1}}}", "", REFUSED), _render(" {pod: {nodeSelector: {~: b}}}", "", REFUSED),
    _render(f" {{pod: {{labels: {{{', '.join(f'l{i}: x' for i in range(65))}}}}}}}", "", REFUSED),
    _render(" {command: [~]}", "", REFUSED), _render(" {command: []}", ".command", []),
    _render(" {command: }", ".command", []),
    _render(" {command: [a, 1]}", "", REFUSED), _render(' {command: ["a\\0"]}', "", REFUSED),
    _render(" {timeout: ''}", "", REFUSED), _render(" {timeout: 90}", "", REFUSED),
    _render(" {timeout: 1:30}", "", REFUSED), _render(" {timeout: 1e1s}", "", REFUSED),
    _render(" {timeout: 9999d}", ".timeout", 9999 * 86400.0), _render(" {timeout: 99999d}", "", REFUSED),
    _render(" {memory: 0.5}", "", REFUSED), _render(" {memory: '0.5'}", ".memory", 1),
    _more("workers: ~", "spec.workers", None), _more("vram: {staleAfter: 1d, checkInterval: 2d}", "", REFUSED),
    _more("vram: {staleAfter: 1d1h, checkInterval: 1d}", "spec.vram.checkInterval", 86400.0),
    _more("vram: {heldWarningAfter: 0s}", "", REFUSED), _more("Seed: 1", "", REFUSED),
    _more("'seed': 1", "spec.seed", 1),
    _more("? seed\n  : 1", "spec.seed", 1), _more("? [seed]\n  : 1", "", REFUSED), _more("\tseed: 1", "", REFUSED),
    _more("seed : 1", "spec.seed", 1), _more("seed:1", "", REFUSED),
    # A key that is given twice: kubectl takes the last one.
    _more("seed: 1\n  seed: 2", "spec.seed", REFUSED, stricter=True),
    _more("seed: 1\n  'seed': 1", "spec.seed", REFUSED, stricter=True),
    # Anchors, aliases and merge keys.
    _merge("*f", {"min": 0.5, "max": 0.9}), _merge("{<<: *f}", {"min": 0.5, "max": 0.9}),
    _merge("{<<: *f, min: 0.6}", {"min": 0.6, "max": 0.9}),
    _merge("{min: 0.6, <<: *f}", REFUSED, stricter=True),
    _merge("{<<: [*f, {min: 0.1, max: 0.2}]}", {"min": 0.5, "max": 0.9}),
    _merge("{<<: [{min: 0.6}, *f]}", {"min": 0.6, "max": 0.9}), _merge("{<<: 1}", REFUSED),
    _merge("{<<: [1]}", REFUSED),
    _merge("{'<<': *f}", REFUSED), _merge("{!!merge x: *f}", REFUSED), _merge("*g", REFUSED),
    # Files.
    _file("as it is", GOOD.encode()),
    _file("a byte order mark", b"\xef\xbb\xbf" + GOOD.encode()), _file("UTF-16", GOOD.encode("utf-16")),
    _file("UTF-16, big end first", b"\xfe\xff" + GOOD.encode("utf-16-be")),
    _file("UTF-16 without a mark", GOOD.encode("utf-16-le"), REFUSED),
    _file("Windows' line ends", GOOD.replace("\n", "\r\n").encode()),
    _file("old Macs'", GOOD.replace("\n", "\r").encode()),
    _file("Latin-1", GOOD.encode() + b"# \xe9\n", REFUSED, stricter=True),
    _file("a NUL", GOOD.encode() + b"\0", REFUSED),
    _file("a document more", GOOD.encode() + b"---\n# nothing\n---\n"),
    _file("a separator first", b"---\n" + GOOD.encode()),
    _file("a comment at it", b"--- # a run\n" + GOOD.encode()),
    _file("words at it", b"--- !!map\n" + GOOD.strip().encode(), REFUSED),
    _file("an end", GOOD.encode() + b"...\nseed: 1\n"),
    _file("a directive", b"%YAML 1.1\n---\n" + GOOD.encode(), REFUSED),
    _file("a status", GOOD.encode() + b"status: {phase: Running, observedGeneration: 3}\n"),
    _file("an unknown field", GOOD.encode() + b"specs: {}\n", REFUSED),
    _file("labels", _line("{name: friction}", "{name: friction, labels: {a: b}}")),
    _file("unknown metadata", _line("{name: friction}", "{name: friction, lables: {a: b}}"), REFUSED),
    _file("metadata of no value", _line("{name: friction}", "{name: friction, creationTimestamp: , labels: {a: }}")),
    _file("a number as a namespace", _line("{name: friction}", "{name: friction, namespace: 1}"), REFUSED),
    _file("a number as a label", _line("{name: friction}", "{name: friction, labels: {a: 1}}"), REFUSED),
    _file("a list", _listed(GOOD)), _file("a list of runs", _listed(GOOD, "clipfarm.dev/v1alpha1", "BenchmarkRunList")),
    # JSON.
    *[
        _json(text, value)
        for text, value in {
            "42": 42, "42.0": 42, "4.2e1": 42, "042": REFUSED, "-0": 0, "null": 0, "1e400": REFUSED, "NaN": REFUSED,
            "y": REFUSED, "[": REFUSED,
        }.items()
    ],
    _json('1, "seed": 2', REFUSED, stricter=True),
    _file("JSON, half a character", (_JSON % 42).replace("\\ude00", "").encode(), REFUSED, stricter=True),
]  # fmt: skip

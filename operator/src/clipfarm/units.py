"""Durations and memory sizes as Kubernetes writes them, and as people read them."""

import re

DURATION_PATTERN = r"^([0-9]{1,4}d)?([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}(?:\.[0-9]{1,3})?s)?$"
"""Up to 193 years: Go, and with it Kubernetes, counts to 292."""
QUANTITY_PATTERN = r"^[0-9]{1,15}(?:\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$"
CPUS_PATTERN = r"^([0-9]{1,6}m|[0-9]{1,4}(?:\.[0-9]{1,3})?)$"
_DURATION, _QUANTITY = re.compile(DURATION_PATTERN), re.compile(QUANTITY_PATTERN)
_BYTES = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def parse_duration(text: str) -> float:
    """Return the seconds in ``7d``, ``1h30m`` or ``2.5s``.

    Raises:
        ValueError: the text is no duration.
    """
    match = _DURATION.fullmatch(text)
    if re.match("[0-9]{5,}d", text):
        raise ValueError("expected 9999d or less")
    if not match or not text:
        raise ValueError("expected a duration such as 30s, 5m or 7d")
    days, hours, minutes, seconds = (float((part or "0").rstrip("dhms")) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_quantity(text: str) -> int:
    """Return the bytes in ``2Gi`` or ``500M``.

    Raises:
        ValueError: the text is no quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError("expected a size such as 2Gi or 500Mi")
    unit = match[1] or ""
    count = float(text.removesuffix(unit)) * _BYTES[unit]
    return int(count) or int(count > 0)


def parse_cpus(text: str) -> float:
    """Return the CPUs in ``2``, ``0.5`` or ``500m``.

    Raises:
        ValueError: the text is no such number.
    """
    if not re.fullmatch(CPUS_PATTERN, text):
        raise ValueError("expected CPUs such as 2, 0.5 or 500m")
    return float(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)


def cpus_text(cpus: float) -> str:
    """Return CPUs as :func:`parse_cpus` reads them, and as Kubernetes writes them: ``2`` or ``500m``."""
    return f"{cpus:.0f}" if cpus == int(cpus) else f"{cpus * 1000:.0f}m"


def duration_text(seconds: float) -> str:
    """Return seconds as :func:`parse_duration` reads them: ``1h30m``, ``2.5s``."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{count:g}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")) if count]
    return "".join(parts) or "0s"


def quantity_text(count: int) -> str:
    """Return bytes as :func:`parse_quantity` reads them, in the largest unit that keeps them whole: ``2Gi``."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return str(count)


def format_duration(seconds: float) -> str:
    """Return ``3d 4h``, ``2h 05m``, ``4m 10s`` or ``12s``: the two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {second:02}s"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minute:02}m"
    days, hour = divmod(hours, 24)
    return f"{days}d {hour}h"


def format_mib(mib: float) -> str:
    """Return ``8.2 GiB`` for GPU memory in MiB."""
    return f"{mib / 1024:.1f} GiB"


def format_bytes(count: float) -> str:
    """Return ``512 B``, ``3.2 MiB`` or ``133.0 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def format_count(count: int, noun: str) -> str:
    """Return ``1 file``, or ``2 files``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_clips(count: int) -> str:
    """Return ``1 clip``, or ``2 clips``."""
    return format_count(count, "clip")

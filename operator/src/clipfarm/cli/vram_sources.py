"""Options of the operator: where readings of GPU memory come from."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from clipfarm.cli.seconds import Seconds

if TYPE_CHECKING:
    from clipfarm.cluster.vram.gpus import Gpus

Command = TypeVar("Command", bound=Callable[..., Any])


class Url(click.ParamType):  # type: ignore[type-arg]  # generic in some versions alone
    """An address that HTTP can be spoken with; empty, as an unset value of a chart is: none."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it is."""
        text = str(value).strip()
        try:
            parts = urlsplit(text)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if text and not good:
            self.fail(f"found {text!r}, expected http://HOST:PORT/PATH", param, ctx)
        return text


class _Emptiable(click.Option):
    """An option whose variable may be set to nothing, which click takes for one that is not set."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the variable's value."""
        assert isinstance(self.envvar, str)
        return os.environ.get(self.envvar)


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources, by the command line and the environment."""

    endpoints: tuple[str, ...]
    dcgm_selector: str
    dcgm_namespace: str
    dcgm_port: int | None
    agent_selector: str
    agent_namespace: str | None
    agent_port: int | None
    prometheus_url: str
    prometheus_token_file: Path | None
    dcgm_interval: float

    def gpus(self, own_namespace: str, *, everywhere: bool) -> "Gpus":
        """Return the GPUs that these sources report.

        Args:
            own_namespace: the operator's; its agents are there unless another one is named.
            everywhere: whether the operator watches all namespaces.
        """
        from clipfarm.cluster.vram.exporters import Exporters, find
        from clipfarm.cluster.vram.gpus import Gpus

        found = find(
            {"selector": self.dcgm_selector, "namespace": self.dcgm_namespace, "port": self.dcgm_port},
            {
                "selector": self.agent_selector,
                "namespace": own_namespace if self.agent_namespace is None else self.agent_namespace,
                "port": self.agent_port,
            },
        )
        endpoints = tuple(endpoint for endpoint in self.endpoints if endpoint)
        exporters = Exporters(found, everywhere)
        return Gpus(endpoints, exporters, self.prometheus_url, self.prometheus_token_file, self.dcgm_interval)


def vram_sources(command: Command) -> Command:
    """Add the options to a command; it gets them as the keyword ``sources``."""

    @functools.wraps(command)
    def with_sources(**arguments: Any) -> Any:
        sources = Sources(**{name: arguments.pop(name) for name in Sources.__dataclass_fields__})
        return command(sources=sources, **arguments)

    decorated: Any = with_sources
    for option in reversed(
        [
            click.option(
                "--vram-endpoint",
                "endpoints",
                multiple=True,
                type=Url(),
                help="URL with GPU memory in the format of NVIDIA's DCGM exporter; may be repeated.",
            ),
            *_pods("dcgm", "NVIDIA's DCGM exporters", "app=nvidia-dcgm-exporter", "gpu-operator", 9400),
            *_pods("agent", "clipfarm's vram-agents", "app.kubernetes.io/component=vram-agent", None, 9401),
            click.option(
                "--prometheus-url",
                envvar="CLIPFARM_PROMETHEUS_URL",
                show_envvar=True,
                type=Url(),
                default="",
                help="A Prometheus that scrapes such exporters.",
            ),
            click.option(
                "--prometheus-token-file",
                envvar="CLIPFARM_PROMETHEUS_TOKEN_FILE",
                show_envvar=True,
                type=click.Path(path_type=Path),
                help="File with the bearer token for it.",
            ),
            click.option(
                "--dcgm-interval",
                envvar="CLIPFARM_DCGM_INTERVAL",
                show_envvar=True,
                type=Seconds(0, 3600),
                default=30.0,
                show_default=True,
                help="Seconds between two collections of DCGM's exporters; their values may be that old.",
            ),
        ]
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _pods(name: str, title: str, selector: str, namespace: str | None, port: int) -> tuple[Any, ...]:
    variable = f"CLIPFARM_{name.upper()}"
    return (
        click.option(
            f"--{name}-selector",
            cls=_Emptiable,
            envvar=f"{variable}_SELECTOR",
            show_envvar=True,
            default=selector,
            show_default=True,
            help=f"Labels of the pods of {title}; empty: none are used.",
        ),
        click.option(
            f"--{name}-namespace",
            cls=_Emptiable,
            envvar=f"{variable}_NAMESPACE",
            show_envvar=True,
            default=namespace,
            help="Namespace of these pods; empty: all, so that anyone who may create a pod is believed."
            f"  [default: {namespace or 'that of the operator'}]",
        ),
        click.option(
            f"--{name}-port",
            envvar=f"{variable}_PORT",
            show_envvar=True,
            type=click.IntRange(1, 65535),
            help=f"Port of these pods.  [default: the one named metrics, else {port}]",
        ),
    )

"""``clipfarm doctor``: what this machine can do for a run, and what to improve."""

import click


@click.command()
def doctor() -> None:
    """Examine this machine: driver, GPUs, their kernels and memory, what will be slow, and what to do about it.

    Exit code: 0 if clips can be rendered here now, on GPUs or else on the CPU; 1 if there is something to do.
    """
    from clipfarm.doctor import examine

    findings = examine()
    for finding in findings:
        click.echo(f"{finding.about + ':':10} {finding.found}" + (f"; {finding.advice}" if finding.advice else ""))
    raise SystemExit(1 if any(finding.advice for finding in findings) else 0)

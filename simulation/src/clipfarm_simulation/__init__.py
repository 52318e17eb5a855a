"""A simulation of GPU memory: the real rules decide for simulated GPUs, clips, neighbours and exporters.

- :mod:`fleet` is the world: GPUs, clips that allocate memory, other tenants, exporters with delays and outages
- :mod:`policies` are who decides: clipfarm's own rules, no rule, the first system's rule, an oracle
- :mod:`scenarios` are the situations that the rules are measured in
- :mod:`simulate` runs one scenario under one policy from its first clip to its last

Tests and ``make bench-vram`` import it; nothing that is shipped does.
"""

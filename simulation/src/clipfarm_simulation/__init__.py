"""A simulation of GPU memory: the real rules decide for simulated GPUs, clips, neighbours and exporters.

- :mod:`runs` says what is asked for, and draws what each clip allocates
- :mod:`fleet` is the world: GPUs, clips on them, other tenants, exporters with delays and outages
- :mod:`policies` are who decides: no rule, the first system's rule, an oracle
- :mod:`real_rules` are clipfarm's own
- :mod:`scenarios` are the situations that the rules are measured in
- :mod:`simulate` runs one scenario under one policy from its first clip to its last; there may be several runs

Tests and ``make bench-vram`` import it; nothing that is shipped does.
"""

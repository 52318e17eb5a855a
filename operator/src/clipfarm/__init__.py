"""clipfarm: a folder of physics clips with V-JEPA 2 features from one YAML file.

Every tick looks at the world, decides what should be, and does it:

- :mod:`clipfarm.run`: the BenchmarkRun, parsed once at the edge
- :mod:`clipfarm.world`: what a look at the world returns
- :mod:`clipfarm.decide`: the rules; no I/O, no clock
- :mod:`clipfarm.local`: looking and doing on this machine
- :mod:`clipfarm.vram`: where readings of GPU memory come from
- :mod:`clipfarm.cli`: what a person types
"""

__version__ = "0.1.0"

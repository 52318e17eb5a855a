"""Looking and doing on one machine: clips are processes, the volume is a folder."""

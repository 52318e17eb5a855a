"""A real Kubernetes control plane on one machine: built once, started in seconds, gone without a trace."""

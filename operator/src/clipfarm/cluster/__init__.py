"""Looking and doing in a Kubernetes cluster: clips are pods of an Indexed Job, the volume is a claim."""

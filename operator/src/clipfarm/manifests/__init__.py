"""The objects that a run needs, each made whole by one function from the run."""

"""The CustomResourceDefinition, made from :mod:`clipfarm.run` and :mod:`clipfarm.run_status`."""

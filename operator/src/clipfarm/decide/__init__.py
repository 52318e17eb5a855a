"""The rules: what should be, given what is. Pure functions; :func:`clipfarm.decide.plan.decide` calls them in order."""

"""The rules of admission: one file a rule, and each rule decides one reason for which a clip does not start.

:mod:`table` lists them in the order in which they are asked. :mod:`rule` says what a rule is made of, and
:mod:`subjects` what it may look at. docs/extending.md shows how to add one.
"""

"""``clipfarm probe``: whether features carry physics.

``samples`` reads features and targets, ``fit`` predicts one from the other out of fold, ``report`` shows how well.
"""

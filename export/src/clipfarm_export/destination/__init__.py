"""Where an export goes: :mod:`base` says what such a place is, :mod:`named` makes one of what a user names."""

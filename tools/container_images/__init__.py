"""Clipfarm's images: built by what is there, and loaded into nodes, with or without a registry."""

"""The formats: each says which parts an export has, and what is written when all of them are there."""

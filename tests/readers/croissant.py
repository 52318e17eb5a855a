"""Validate croissant.json as conferences do, and read its records."""

import json
import logging
import sys

import mlcroissant

described = mlcroissant.Dataset(sys.argv[1])  # raises an error if it is not valid
issues = described.metadata.ctx.issues
rows = list(described.records("clips"))
text = {key: value.decode() if isinstance(value, bytes) else value for key, value in rows[0].items()}
logging.shutdown()
print(json.dumps({"errors": list(issues.errors), "rows": len(rows), "first": text}, default=str))

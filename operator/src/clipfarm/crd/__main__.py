"""``python -m clipfarm.crd``: print the CustomResourceDefinition."""

import sys

from clipfarm.crd.generate import as_yaml

sys.stdout.write(as_yaml())

"""``python -m clipfarm_render``: the supervisor."""

import sys

from clipfarm_render.supervising.supervisor import main

sys.exit(main())

"""Licences by the identifiers of hubs, and where their texts are."""

import re

_TEXTS = {
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "cc-by-sa-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "cc-by-nc-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
    "cc-by-nc-sa-4.0": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "cc-by-nd-4.0": "https://creativecommons.org/licenses/by-nd/4.0/",
    "odc-by": "https://opendatacommons.org/licenses/by/1-0/",
    "pddl": "https://opendatacommons.org/licenses/pddl/1-0/",
}


_SPDX = (
    *("AFL-3.0", "AGPL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "C-UDA-1.0"),
    *("CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "ECL-2.0", "EPL-2.0", "EUPL-1.2", "GFDL-1.3"),
    *("GPL-2.0", "GPL-3.0", "ISC", "LGPL-2.1", "LGPL-3.0", "MIT", "MPL-2.0", "MS-PL", "NCSA", "ODbL-1.0", "Unlicense"),
    *("WTFPL", "Zlib"),
)
"""As https://spdx.org/licenses spells them: its pages have these names, while hubs write small letters."""
_SPELT = {name.lower(): name for name in _SPDX} | {"odbl": "ODbL-1.0", "c-uda": "C-UDA-1.0"}


def url(licence: str) -> str:
    """Return where a licence's text is; of what is no identifier, such as a sentence, the same."""
    known = licence.lower()
    if known in _TEXTS:
        return _TEXTS[known]
    if not re.fullmatch("[A-Za-z0-9.+-]+", licence) or known in ("other", "unknown"):
        return licence
    return f"https://spdx.org/licenses/{_SPELT.get(known, licence)}.html"

"""Licences by the identifiers of hubs, and where their texts are."""

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


def url(licence: str) -> str:
    """Return where a licence's text is: the SPDX page of one that is not listed here."""
    if "://" in licence:
        return licence
    return _TEXTS.get(licence.lower(), f"https://spdx.org/licenses/{licence}.html")

"""The operator's page shows the runs that it sees, to the machine that it runs on."""

import json
import re
import urllib.request

from helpers.local import wait_until
from helpers.operators import Runs


def test_a_run_is_on_the_page_with_what_holds_it(namespace, start_operator):
    runs = Runs(namespace)
    runs.create(clips=3, workers=2, render={"device": "gpu"}, vram={"enabled": True})
    operator = start_operator(namespace, "--page-port", 0)
    address = wait_until(lambda: re.search(r"page at (http://127\.0\.0\.1:\d+/)", operator.log()), "the page")[1]

    def shown():
        with urllib.request.urlopen(address + "live.json", timeout=10) as answer:
            found = json.load(answer)["runs"]
        return found if found and found[0]["held"] else None

    [run] = wait_until(shown, "clips that are held")
    assert (run["name"], run["namespace"], run["total"], run["rendered"]) == ("run", namespace.name, 3, 0)
    assert [held["reason"] for held in run["held"]] == ["VRAMUnknown"]
    assert run["held"] == runs.status()["held"]
    assert (run["workers"], run["clipsPerHour"]) == (2, None)
    with urllib.request.urlopen(address + "data/clips.js", timeout=10) as answer:
        assert b'"index":[]' in answer.read()  # clips lie on the run's volume

"""Images given to a containerd that runs on this machine: tools/cluster's node, or k3s."""

import json
import subprocess
from dataclasses import dataclass

from container_images.builders import Builder
from container_images.errors import ImagesError, run


@dataclass(frozen=True)
class Containerd:
    """One containerd, by the command of its client."""

    ctr: tuple[str, ...]

    def load(self, builder: Builder, name: str) -> bool:
        """Import an image, through a pipe; returns whether it had to be."""
        if self._has(name, builder.identity(name)):
            return False
        command = [*self.ctr, "images", "import", "-"]
        with (
            builder.stream(name) as saved,
            subprocess.Popen(command, stdin=saved.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as loaded,
        ):
            assert saved.stdout is not None
            # containerd alone has the other end now: should it end early, the builder is told.
            saved.stdout.close()
            _, errors = loaded.communicate()
        if loaded.returncode:
            raise ImagesError(f"{' '.join(command)}: {errors.decode(errors='replace').strip()[-2000:]}")
        if saved.returncode:
            raise ImagesError(f"{builder.program} ended with {saved.returncode} while it wrote {name}")
        return True

    def _has(self, name: str, identity: str) -> bool:
        """Whether an image of this name has this configuration, whose hash is what builders call an image's ID."""
        rows = [line.split() for line in run([*self.ctr, "images", "list"]).splitlines()]
        targets = [row[2] for row in rows if row[0] == name]
        if not targets:
            return False
        manifest = json.loads(run([*self.ctr, "content", "get", targets[0]]))
        return bool(manifest.get("config", {}).get("digest") == identity)

"""The smallest training loop on clips: predict the next time step's features from the present ones and the push.

    .venv/bin/python examples/train.py demo-output

A loss of 1 is what no change at all would cost. Few clips are learnt by heart, which shows that the loop works and
nothing else. Features of a whole clip know its future, see docs/data.md.
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader

from clipfarm.data import ClipDataset


def main(folder: str, epochs: int = 60) -> float:
    """Train, and return the last epoch's loss."""
    torch.manual_seed(0)
    clips = ClipDataset(folder, window=2, step=1)  # every two time steps that follow each other
    loader = DataLoader(clips, batch_size=8, shuffle=True, num_workers=2, persistent_workers=True)
    # All features are close to one mean. What differs between them counts, so it is scaled to 1.
    pooled = torch.cat([batch["features"].float().mean(2) for batch in loader])  # over the tokens of a time step
    mean, spread = pooled.mean((0, 1)), pooled.std((0, 1)) + 1e-6
    width, actions = pooled.shape[-1], clips[0]["actions"].size
    model = nn.Sequential(nn.Linear(width + actions, 512), nn.GELU(), nn.Linear(512, width))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loss = float("inf")
    for epoch in range(epochs):
        errors, changes = 0.0, 0.0
        for batch in loader:
            now, following = ((batch["features"].float().mean(2) - mean) / spread).unbind(1)
            predicted = model(torch.cat([now, batch["actions"].flatten(1)], 1))
            error, change = (predicted - (following - now)).square().sum(), (following - now).square().sum()
            optimiser.zero_grad()
            (error / change).backward()
            optimiser.step()
            errors, changes = errors + error.item(), changes + change.item()
        loss = errors / changes
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss:.4f} over {len(clips)} windows")
    return loss


if __name__ == "__main__":
    main(sys.argv[1])

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
    sample = clips[0]
    width, actions = sample["features"].shape[-1], sample["actions"].size
    model = nn.Sequential(nn.Linear(width + actions, 512), nn.GELU(), nn.Linear(512, width))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    loss = float("inf")
    for epoch in range(epochs):
        errors, changes = 0.0, 0.0
        for batch in loader:
            now, following = batch["features"].float().mean(2).unbind(1)  # over the tokens of a time step
            change = following - now
            predicted = model(torch.cat([now, batch["actions"].flatten(1)], 1))
            error = (predicted - change).square().sum()
            optimiser.zero_grad()
            (error / change.square().sum()).backward()
            optimiser.step()
            errors, changes = errors + error.item(), changes + change.square().sum().item()
        loss = errors / changes
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {loss:.4f} over {len(clips)} windows")
    return loss


if __name__ == "__main__":
    main(sys.argv[1])

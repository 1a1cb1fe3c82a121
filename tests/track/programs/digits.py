"""In the manner of the MNIST examples: argparse, watch, one log a batch, pictures at each test."""

import argparse
from datetime import timedelta

import torch
import wandb
from torch import nn
from torch.nn import functional

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=8)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--no-cuda", action="store_true", default=False)
parser.add_argument("--log-interval", type=int, default=2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return functional.log_softmax(self.fc(x.flatten(1)), dim=1)


def batches(args, count):
    for _ in range(count):
        yield torch.rand(args.batch_size, 4, 4), torch.randint(10, (args.batch_size,))


def train(args, model, optimizer, epoch):
    model.train()
    for batch, (data, target) in enumerate(batches(args, 6)):
        optimizer.zero_grad()
        loss = functional.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        if batch % args.log_interval == 0:
            wandb.log({"Train": {"Loss": loss, "LR": args.lr}, "epoch": epoch})


@torch.no_grad()
def test(args, model, epoch):
    model.eval()
    table = wandb.Table(columns=["truth", "guess"])
    for data, target in batches(args, 1):
        output = model(data)
        guess = output.argmax(dim=1)
        pictures = [
            wandb.Image(x.numpy(), caption=f"Pred: {g}") for x, g in zip(data, guess, strict=True)
        ]
        for row in zip(target.tolist(), guess.tolist(), strict=True):
            table.add_data(*row)
        accuracy = 100.0 * guess.eq(target).float().mean()
        loss = functional.nll_loss(output, target).numpy() / epoch
    wandb.log({"Examples": pictures, "Test Accuracy": accuracy, "Test Loss": loss}, commit=False)
    wandb.log({"guesses": table, "weights": wandb.Histogram(model.fc.weight.numpy())})
    return accuracy


def main():
    args = parser.parse_args()
    torch.manual_seed(1)
    with wandb.init(
        project="mnist", entity=None, config=args, tags=["cnn"], save_code=False
    ) as run:
        wandb.config.update({"device": "cpu"}, allow_val_change=True)
        config = wandb.config
        wandb.define_metric("Test Accuracy", summary="max")
        wandb.define_metric("Test Loss", step_metric="epoch", summary="min,last")
        model = Net()
        wandb.watch(model, log="all")
        optimizer = torch.optim.SGD(model.parameters(), lr=config.lr)
        best = 0.0
        for epoch in range(1, config.epochs + 1):
            train(config, model, optimizer, epoch)
            accuracy = test(config, model, epoch)
            if accuracy > best:
                best = accuracy
                wandb.run.summary["best_accuracy"] = best
        wandb.alert(
            title="Low accuracy",
            text=f"{best:.0f}",
            level=wandb.AlertLevel.WARN,
            wait_duration=timedelta(minutes=5),
        )
        wandb.save("model.pt")
        print("epoch", run.summary["epoch"], "worst", run.summary["Test Loss"]["min"] > 0)
    assert wandb.run is None


if __name__ == "__main__":
    main()

"""PyTorch models, one file per part: layers, the recurrent core, losses, ARC data and voting.

Nothing here imports the tool: a model is usable without `exp`, and `exp` without torch.
"""

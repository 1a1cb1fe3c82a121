"""How the event files beside this one were made: python make.py, with torch and two more packages.

The tests need none of them; README.md names the versions. Each writer wrote the same scalars,
beside an image, a text and a histogram where it knows them.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import tensorboardX
import torch
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch.utils.tensorboard import SummaryWriter

HERE = Path(__file__).parent
NAN, INF = float("nan"), float("inf")
VALUES = [(1, 0.5), (2, -0.25), (7, NAN), (8, INF), (9, 1e-30)]


def both(writer):
    """What torch and tensorboardX have in common."""
    for step, value in VALUES:
        writer.add_scalar("train/loss", value, step)
    writer.add_histogram("weights", np.arange(10.0), 1)
    writer.add_text("note", "hello", 1)
    writer.add_image("picture", np.zeros((3, 4, 4), dtype=np.uint8), 1)
    writer.add_scalar("eval/acc", 0.75, 10)
    writer.close()


def tensors(folder):
    """Scalars as tensors of each kind, as the summary operations of version 2 write them."""
    writer = EventFileWriter(str(folder))
    kinds = {
        "float": TensorProto(dtype=1, float_val=[0.5]),
        "double": TensorProto(dtype=2, double_val=[0.1]),
        "half": TensorProto(dtype=19, half_val=[int(np.float16(0.25).view(np.uint16))]),
        "bfloat16": TensorProto(dtype=14, half_val=[0x3FC0]),
        "int": TensorProto(dtype=3, int_val=[-7]),
        "long": TensorProto(dtype=9, int64_val=[1 << 40]),
        "float_content": TensorProto(dtype=1, tensor_content=np.float32(0.125).tobytes()),
        "double_content": TensorProto(dtype=2, tensor_content=np.float64(0.3).tobytes()),
        "half_content": TensorProto(dtype=19, tensor_content=np.float16(2.5).tobytes()),
        "vector": TensorProto(dtype=1, float_val=[1.0, 2.0]),
        "words": TensorProto(dtype=7, string_val=[b"no number"]),
    }
    for tag, tensor in kinds.items():
        value = Summary.Value(tag=tag, tensor=tensor)
        value.metadata.plugin_data.plugin_name = "scalars"
        writer.add_event(Event(wall_time=1.7e9, step=3, summary=Summary(value=[value])))
    other = Summary.Value(tag="curve", tensor=kinds["float"], metadata=SummaryMetadata())
    other.metadata.plugin_data.plugin_name = "pr_curves"
    writer.add_event(Event(wall_time=1.7e9, step=-3, summary=Summary(value=[other])))
    many = [Summary.Value(tag=f"m{i}", simple_value=float(i)) for i in range(3)]
    writer.add_event(Event(wall_time=1.7e9, step=-4, summary=Summary(value=many)))
    writer.close()


def main():
    scratch = Path(sys.argv[1])
    both(SummaryWriter(scratch / "torch"))
    new = SummaryWriter(scratch / "torch_new_style")
    for step, value in VALUES:
        new.add_scalar("train/loss", value, step, new_style=True)
    new.add_scalar("exact", 0.1, 1, new_style=True, double_precision=True)
    new.close()
    both(tensorboardX.SummaryWriter(str(scratch / "tensorboardX")))
    tensors(scratch / "tensors")
    for folder in sorted(scratch.iterdir()):
        (made,) = folder.glob("*.tfevents.*")
        shutil.copy(made, HERE / f"{folder.name}.tfevents.bin")
    versions = {m.__name__: m.__version__ for m in (torch, tensorboardX, np)}
    print(json.dumps(versions))


main()

"""The way to GR00T's features: all of it but the weights and the package, which have stand-ins.

The stand-in package has the names and the calls that models/groot.py says it read in release N1.5;
that the real one has them is not seen here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models import feature_cache
from models.features import FRAME, PALETTE
from models.groot import PIXELS, TEXT, Groot, check_folder, conversation, load

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "model_type": "gr00t_n1_5",
    "hidden_size": 8,
    "backbone_cfg": {"select_layer": 12, "project_to_dim": None, "reproject_vision": False},
}
QUESTION = np.array([[1, 2], [3, 4]], np.uint8)
# A package with the names of release N1.5: a backbone of one layer and a processor of 9 tiles.
STANDIN = {
    "gr00t/__init__.py": "",
    "gr00t/model/__init__.py": "",
    "gr00t/model/transforms.py": """
import numpy as np, torch
DEFAULT_EAGLE_PATH = "eagle2_hg_model"
class Processor:
    def apply_chat_template(self, conversation, tokenize, add_generation_prompt):
        (message,) = conversation
        kinds = [part["type"] for part in message["content"]]
        assert (message["role"], kinds) == ("user", ["image", "text"])
        assert tokenize is False and add_generation_prompt is True
        return "<image-1>" + message["content"][1]["text"]
    def process_vision_info(self, conversation):
        return [part["image"] for part in conversation[0]["content"][:1]], None
    def __call__(self, text, images, return_tensors, padding):
        assert return_tensors == "pt" and padding is True
        (text,), (image,) = text, images
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
        tiles = pixels.unfold(1, 300, 300).unfold(2, 300, 300).flatten(1, 2).transpose(0, 1)
        count = len(tiles) + len(text.split())
        mask = torch.tensor([[0, 0] + [1] * count])
        ids = torch.arange(count + 2)[None]
        return {"input_ids": ids, "attention_mask": mask, "pixel_values": tiles,
                "image_sizes": torch.tensor([[900, 900]])}
def build_eagle_processor(path):
    assert path == DEFAULT_EAGLE_PATH
    return Processor()
""",
    "gr00t/model/gr00t_n1.py": """
import json, torch
from pathlib import Path
class Backbone(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = torch.nn.Linear(3, width)
    def prepare_input(self, batch):
        return dict(batch)
    def forward(self, inputs):
        inputs = {k.removeprefix("eagle_"): v for k, v in inputs.items() if k.startswith("eagle_")}
        del inputs["image_sizes"]
        assert not torch.is_grad_enabled()
        assert inputs["pixel_values"].dtype == self.layer.weight.dtype == torch.bfloat16
        tiles = inputs["pixel_values"].mean((2, 3))
        rest = tiles.new_zeros(inputs["input_ids"].shape[1] - len(tiles), 3)
        features = self.layer(torch.cat([rest, tiles]))[None]
        return {"backbone_features": features, "backbone_attention_mask": inputs["attention_mask"]}
class GR00T_N1_5(torch.nn.Module):
    @classmethod
    def from_pretrained(cls, path, torch_dtype, **tune):
        assert Path(path).is_absolute() and not any(tune.values()) and len(tune) == 4
        model = cls()
        torch.manual_seed(0)
        width = json.loads((Path(path) / "config.json").read_text())["hidden_size"]
        model.backbone = Backbone(width).to(torch_dtype)
        return model
""",
}


@pytest.fixture
def weights(tmp_path):
    """A folder laid out as the published one, with one small tensor a file."""
    folder = tmp_path / "the weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    names = {"backbone.a": "model-00001-of-00002.safetensors", "action_head.b": "model-00002.st"}
    for key, name in names.items():
        save_file({key: torch.ones(4)}, folder / name)
    index = {"weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def standin(tmp_path):
    """A folder with the stand-in package."""
    for name, text in STANDIN.items():
        path = tmp_path / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "packages"


def run(program, *words, packages=()):
    paths = os.pathsep.join(map(str, [ROOT, *packages]))
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_question_is_shown_as_one_picture_and_a_text():
    """30 pixels a cell, the frame around the grid, and no word of which task it is."""
    ((message),) = conversation(QUESTION)
    image, text = message["content"]
    pixels = np.array(image["image"])
    assert (message["role"], image["type"], text["type"]) == ("user", "image", "text")
    assert pixels.shape == (PIXELS, PIXELS, 3)
    assert np.array_equal(pixels[15:60:30, 15:60:30], PALETTE[QUESTION])
    assert (pixels[60:] == FRAME).all()
    assert (pixels[:60, 60:] == FRAME).all()
    assert text["text"] == TEXT == conversation(1 - QUESTION % 2)[0]["content"][1]["text"]


def test_features_come_through_the_package_into_the_cache(weights, standin, tmp_path, monkeypatch):
    """Folder, package, processor, backbone, cache: with stand-ins the whole way is gone."""
    program = """
import sys
from pathlib import Path
import numpy as np
from models import feature_cache
from models.groot import load
extractor = load(Path(sys.argv[1]), licence_accepted=True, device="cpu")
grids = {"a": np.array([[1, 2], [3, 4]], np.uint8), "b": np.array([[9]], np.uint8)}
print(extractor.tokens, extractor.width)
print(feature_cache.extract(extractor, grids, dtype="float32"))
"""
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(tmp_path / "cache"))
    done = run(program, weights, packages=[standin])
    assert done.returncode == 0, done.stderr
    sizes, folder = done.stdout.splitlines()
    tokens = 9 + len(f"<image-1>{TEXT}".split())
    assert sizes == f"{tokens} 8"
    cached = feature_cache.read(Path(folder))
    assert cached.tokens_N.tolist() == [tokens, tokens]
    assert cached.extractor == "groot-n1.5"
    assert set(cached.settings["weights"]) == {
        *("config.json", "model-00001-of-00002.safetensors", "model-00002.st")
    }
    first, second = cached.tensors
    assert not torch.equal(first[-9], second[-9])
    assert torch.equal(first[-8], second[-8])  # a tile of the frame alone


def test_other_weights_are_another_cache(weights, standin):
    """One number changed in a file of weights, and its features are others'."""
    program = """
import sys
from pathlib import Path
from models.groot import load
print(load(Path(sys.argv[1]), licence_accepted=True, device="cpu").settings)
"""
    before = run(program, weights, packages=[standin]).stdout
    save_file({"backbone.a": torch.zeros(4)}, weights / "model-00001-of-00002.safetensors")
    after = run(program, weights, packages=[standin]).stdout
    assert "'model-00001-of-00002.safetensors': '" in before
    assert after
    assert after != before


def test_a_whole_folder_is_read(weights):
    """Layer and width are the configuration's: hidden_size unless something projects."""
    found = check_folder(weights)
    assert (found.select_layer, found.width) == (12, 8)
    projecting = CONFIG | {"backbone_cfg": CONFIG["backbone_cfg"] | {"project_to_dim": 6}}
    (weights / "config.json").write_text(json.dumps(projecting))
    assert check_folder(weights).width == 6


def test_one_file_of_weights_is_enough(weights):
    """A checkpoint saved whole has no index."""
    for path in weights.glob("model*"):
        path.unlink()
    save_file({"backbone.a": torch.ones(4)}, weights / "model.safetensors")
    assert check_folder(weights).files == ("config.json", "model.safetensors")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("config.json", None, "config.json: cannot be read .No such file"),
        ("config.json", "{", "config.json: no JSON"),
        ("config.json", "[]", "config.json: no object"),
        ("config.json", '{"model_type": "gr00t_n1"}', "model_type 'gr00t_n1', this is for"),
        (
            "config.json",
            json.dumps(CONFIG | {"backbone_cfg": {"reproject_vision": True}}),
            "is not one of N1.5's",
        ),
        ("model.safetensors.index.json", None, r"index.json: cannot be read .No such file"),
        ("model.safetensors.index.json", "{}", "no weights of the backbone in "),
        ("model-00002.st", None, "model-00002.st: missing, cut short or a pointer of git-lfs"),
        ("model-00002.st", "version https://git-lfs", "model-00002.st: missing, cut short or a"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(weights, name, text, said):
    """The message names the file, and how to get it."""
    (weights / "model-00001-of-00002.safetensors").rename(weights / "model-00003.st")
    save_file({"action_head.b": torch.ones(1)}, weights / "model-00001-of-00002.safetensors")
    (weights / name).unlink()
    if text is not None:
        (weights / name).write_text(text)
    with pytest.raises(ValueError, match=said) as refused:
        check_folder(weights)
    assert f"hf download nvidia/GR00T-N1.5-3B --local-dir {weights}" in str(refused.value)


def test_weights_without_a_backbone_are_refused(weights):
    """An action head alone makes no features."""
    save_file({"action_head.a": torch.ones(4)}, weights / "model-00001-of-00002.safetensors")
    with pytest.raises(ValueError, match="no weights of the backbone in"):
        check_folder(weights)


def test_what_is_missing_is_said_in_order(weights, tmp_path):
    """No folder, no leave, no GPU, no package: one message each, with what to do."""
    with pytest.raises(ValueError, match="no such folder of weights; hf download"):
        load(tmp_path / "none", licence_accepted=True)
    with pytest.raises(ValueError, match=r"NSCL licence: read it .* say licence_accepted=true"):
        load(weights, licence_accepted=False)
    with pytest.raises(ValueError, match=r"package gr00t of release N1\.5 cannot be used here .No"):
        load(weights, licence_accepted=True, device="cpu")


def test_a_gpu_that_is_not_there_is_said(weights):
    """Before anything is loaded; in a process that is shown none."""
    program = (
        "import sys; from pathlib import Path; from models.groot import load\n"
        "load(Path(sys.argv[1]), licence_accepted=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(weights)],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ValueError: device=cuda: torch sees no GPU" in done.stderr


class Odd(torch.nn.Linear):
    """A backbone whose features have no dimension of batches."""

    def prepare_input(self, batch):
        return batch

    def forward(self, inputs):
        mask = inputs["eagle_attention_mask"]
        return {"backbone_features": torch.ones(3, 8), "backbone_attention_mask": mask}


class Plain:
    """A processor that gives what it was made with."""

    def __init__(self, **made):
        self.made = made

    def apply_chat_template(self, talk, **_):
        return str(talk[0]["role"])

    def process_vision_info(self, talk):
        return [talk[0]["content"][0]["image"]], None

    def __call__(self, **asked):
        assert asked["text"] == ["user"]
        return self.made


def test_another_release_is_noticed():
    """Keys that the processor lacks and features of another shape are named, with the release."""
    some = torch.ones(1, 3)
    keys = {"input_ids": some.long(), "attention_mask": some.long(), "pixel_values": some}
    with pytest.raises(ValueError, match=r"the processor gave no image_sizes; .* release N1.5"):
        Groot(Plain(**keys), Odd(3, 8), width=8, weights={})
    extractor = Groot(Plain(**keys, image_sizes=some.long()), Odd(3, 8), width=8, weights={})
    with pytest.raises(ValueError, match=r"gave features \(3, 8\) and a mask \(1, 3\)"):
        extractor.extract(QUESTION)

"""Features of questions by GR00T N1.5's own vision-language backbone, where its weights are.

Neither the weights nor the package are part of this repository, and no test has seen them. What
this file relies on was read in NVIDIA/Isaac-GR00T, branch n1.5-release (code Apache-2.0), and in
the published configuration of nvidia/GR00T-N1.5-3B (weights under the NSCL licence, version 1):

- gr00t/model/gr00t_n1.py: class `GR00T_N1_5`, `from_pretrained(path, tune_...=False)`, whose
  `backbone` is all we use. A path that is no name on the hub is read from the disk.
- config.json: `model_type` "gr00t_n1_5"; `backbone_cfg` with `select_layer` 12, `project_to_dim`
  null and `reproject_vision` false; `hidden_size` 2048.
- gr00t/model/backbone/eagle_backbone.py: class `EagleBackbone` keeps the language model's first
  `select_layer` layers and returns hidden state number `select_layer` (after the model's last norm,
  as no layer follows) as `backbone_features` [1, L, 2048], with `backbone_attention_mask` [1, L].
  With `project_to_dim` null nothing projects it. It takes what the processor makes, each key with
  `eagle_` before it, and drops `eagle_image_sizes`, which must be there.
- gr00t/model/transforms.py: `build_eagle_processor(DEFAULT_EAGLE_PATH)`, padding on the left; one
  message of a user, images first, then the text, through `apply_chat_template` and
  `process_vision_info`.
- gr00t/model/backbone/eagle2_hg_model/: `config.json`, `preprocessor_config.json` (tiles of 224
  pixels, 12 at most and one for the whole, 256 tokens a tile), `modeling_eagle2_5_vl.py`, which
  asks for FlashAttention 2 and so for a GPU.
- gr00t/model/policy.py: bfloat16 under autocast. The robot's state does not reach the backbone.

A picture of 900x900 pixels is 3x3 tiles and one for the whole: 2,560 tokens and those of the text.
Unlike the original of SAGE we show one picture, the question's: no answer, and a text without the
task's name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from models.arc import LARGEST, Grid
from models.cache_folder import sha256
from models.features import picture

PIXELS: Final = 900  # 30 a cell on the largest canvas, as the original rendered
TEXT: Final = "Solve the ARC task."  # the same for all: a name would tell which task it is
_INDEX = "model.safetensors.index.json"
_KEYS = frozenset({"input_ids", "attention_mask", "pixel_values", "image_sizes"})
_DOWNLOAD = "hf download nvidia/GR00T-N1.5-3B --local-dir"
_PACKAGE = (
    "git clone --branch n1.5-release https://github.com/NVIDIA/Isaac-GR00T, then python -m pip"
    " install -e Isaac-GR00T into an environment of its own, with this repository on its PYTHONPATH"
)


class Processor(Protocol):
    """What is used of Eagle's processor."""

    def apply_chat_template(
        self, conversation: list[dict[str, Any]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        """The text of a conversation, with a place for each image."""
        ...

    def process_vision_info(self, conversation: list[dict[str, Any]]) -> tuple[list[Any], Any]:
        """The images and the videos of a conversation."""
        ...

    def __call__(
        self, *, text: list[str], images: list[Any], return_tensors: str, padding: bool
    ) -> Mapping[str, Tensor]:
        """Tokens [1, L], their mask, tiles of pixels and image sizes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A folder of weights that was looked through: its files by name, and what they make."""

    folder: Path
    files: tuple[str, ...]
    select_layer: int
    width: int


class Groot:
    """The extractor: a question's picture and TEXT through a frozen backbone.

    All pictures are of one size and all texts the same, so all questions have `tokens` tokens.
    """

    name = "groot-n1.5"
    aligned = False

    def __init__(
        self,
        processor: Processor,
        backbone: torch.nn.Module,
        *,
        width: int,
        weights: dict[str, str],
    ) -> None:
        self._processor = processor
        self._backbone: Any = backbone.eval().requires_grad_(False)  # has prepare_input as well
        self.width = width
        self.settings: dict[str, Any] = {
            "weights": weights,
            "text": TEXT,
            "pixels": PIXELS,
            "side": LARGEST,
            "version": 1,
        }
        blank = np.zeros((LARGEST, LARGEST), np.uint8)
        self.tokens = int(self._inputs(blank)["eagle_attention_mask"].sum())

    def extract(self, question: Grid) -> Tensor:
        """Features [L, F] of a grid, float32 on the CPU, without those of padding.

        Raises:
            ValueError: the backbone gives something else than release N1.5 does.
        """
        inputs = self._inputs(question)
        device = inputs["eagle_input_ids"].device
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
            made = self._backbone(self._backbone.prepare_input(inputs))
        features_1LF, mask_1L = made["backbone_features"], made["backbone_attention_mask"]
        if features_1LF.ndim != 3 or features_1LF.shape[:2] != mask_1L.shape:
            raise ValueError(
                f"the backbone gave features {tuple(features_1LF.shape)} and a mask"
                f" {tuple(mask_1L.shape)}; this code knows release N1.5: {_PACKAGE}"
            )
        features_LF: Tensor = features_1LF[0][mask_1L[0].bool()].float().cpu()
        return features_LF

    def _inputs(self, question: Grid) -> dict[str, Tensor]:
        talk = conversation(question)
        text = self._processor.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        images, _ = self._processor.process_vision_info(talk)
        made = self._processor(text=[text], images=images, return_tensors="pt", padding=True)
        if missing := _KEYS - set(made):
            raise ValueError(
                f"the processor gave no {', '.join(sorted(missing))}; this code knows release N1.5:"
                f" {_PACKAGE}"
            )
        weight = next(self._backbone.parameters())
        return {
            f"eagle_{key}": value.to(weight)
            if value.is_floating_point()
            else value.to(weight.device)
            for key, value in made.items()
        }


def conversation(question: Grid) -> list[dict[str, Any]]:
    """What the model is shown: one user's message, the question's picture and TEXT.

    Raises:
        ValueError: the grid is larger than 30x30.
    """
    image = import_module("PIL.Image")  # comes with the packages that GR00T needs

    cell = PIXELS // LARGEST
    pixels = picture(question, LARGEST).repeat(cell, axis=0).repeat(cell, axis=1)
    content = [
        {"type": "image", "image": image.fromarray(pixels)},
        {"type": "text", "text": TEXT},
    ]
    return [{"role": "user", "content": content}]


def load(folder: Path, *, licence_accepted: bool, device: str = "cuda") -> Groot:
    """The extractor with the weights of a folder, through the package gr00t.

    The features' identity is the SHA-256 of every file of weights, which takes seconds.

    Raises:
        ValueError: the folder, one of its files, the licence, the device or the package is missing;
            the message says which, and what to do.
    """
    checkpoint = check_folder(folder)
    if not licence_accepted:
        raise ValueError(
            f"{folder}: these weights are NVIDIA's, under the NSCL licence: read it on the card of"
            " nvidia/GR00T-N1.5-3B, and if your use is within it, say licence_accepted=true"
        )
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={device}: torch sees no GPU, and the backbone's FlashAttention needs one;"
            " run this where one is, and copy the folder of features"
        )
    try:
        model_class = import_module("gr00t.model.gr00t_n1").GR00T_N1_5
        transforms = import_module("gr00t.model.transforms")
        processor = transforms.build_eagle_processor(transforms.DEFAULT_EAGLE_PATH)
        # An absolute path is no name on the hub: nothing is downloaded.
        model = model_class.from_pretrained(
            str(checkpoint.folder.resolve()),
            torch_dtype=torch.bfloat16,
            **{f"tune_{part}": False for part in ("visual", "llm", "projector", "diffusion_model")},
        )
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"package gr00t of release N1.5 cannot be used here ({error}); {_PACKAGE}"
        ) from error
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{folder}: the weights cannot be loaded ({error})") from error
    return Groot(
        processor,
        model.backbone.to(device),
        width=checkpoint.width,
        weights={name: sha256(folder / name) for name in checkpoint.files},
    )


def check_folder(folder: Path) -> Checkpoint:
    """What a folder of weights holds, its files opened but not read through.

    Raises:
        ValueError: no folder; a configuration of another model; weights that are missing, cut
            short, or have no backbone. It says which file and what to do.
    """
    again = f"download it again: {_DOWNLOAD} {folder}"
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder of weights; {_DOWNLOAD} {folder}")
    config = _json(folder / "config.json", again)
    backbone = config.get("backbone_cfg")
    if config.get("model_type") != "gr00t_n1_5" or type(backbone) is not dict:
        raise ValueError(
            f"{folder}/config.json: model_type {config.get('model_type')!r}, this is for"
            f" 'gr00t_n1_5' with a backbone_cfg; {again}"
        )
    layer, width = backbone.get("select_layer"), backbone.get("project_to_dim")
    width = config.get("hidden_size") if width is None else width
    if type(layer) is not int or type(width) is not int or backbone.get("reproject_vision"):
        raise ValueError(
            f"{folder}/config.json: backbone_cfg {backbone} with hidden_size"
            f" {config.get('hidden_size')} is not one of N1.5's; {again}"
        )
    if (folder / _INDEX).exists() or not (folder / "model.safetensors").exists():
        files = sorted(set(_json(folder / _INDEX, again).get("weight_map", {}).values()))
    else:
        files = ["model.safetensors"]
    if not any(
        key.startswith("backbone.") for name in files for key in _keys(folder / name, again)
    ):
        raise ValueError(f"{folder}: no weights of the backbone in {files}; {again}")
    files = ["config.json", *files]
    return Checkpoint(folder=folder, files=tuple(files), select_layer=layer, width=width)


def _json(path: Path, again: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); {again}") from error
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error}); {again}") from error
    if type(found) is not dict:
        raise ValueError(f"{path}: no object; {again}")
    return found


def _keys(path: Path, again: str) -> list[str]:
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{path}: missing, cut short or a pointer of git-lfs ({error}); {again}"
        ) from error

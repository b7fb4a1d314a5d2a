"""The two files of weights: `last.ckpt` to resume from, `best.safetensors` to keep. Neither is read by pickle."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.results import replace
from attnzoo.training.history import History

LAST = "last.ckpt"
BEST = "best.safetensors"
# what torch raises at a flipped byte depends on where it is
_DAMAGE = (
    pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, LookupError, TypeError, ValueError,
    AttributeError,
)  # fmt: skip
NETWORK = "network."  # the model's name within the Lightning module, so the prefix of its keys in `last.ckpt`


def read_last(folder: Path) -> dict[str, Any] | None:
    """The resume file, on the CPU; None where there is none yet."""
    path = folder / LAST
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        History.of(state["attnzoo"])
    except PermissionError:
        raise
    except _DAMAGE as error:
        raise AttnzooError(
            f"`{path}` is damaged, or no resume file of attnzoo", "delete it, and the run starts anew"
        ) from error
    return state


def write_best(folder: Path, weights: Mapping[str, Tensor], epoch: int) -> None:
    """Keep a model's state dict and the epoch that it is from, as safetensors."""
    from safetensors.torch import save

    plain = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    content = save(plain, metadata={"epoch": str(epoch)})
    replace(folder / BEST, lambda file: file.write(content))


def load_best(folder: Path, model: nn.Module) -> None:
    """Put the best weights into a model of the same recipe."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / BEST
    try:
        model.load_state_dict(load_file(path))
    except FileNotFoundError as error:
        raise AttnzooError(f"`{path}` is missing", "delete the run's folder, and run it again") from error
    except (SafetensorError, RuntimeError) as error:
        raise AttnzooError(
            f"`{path}` does not fit the run's own recipe",
            "it was changed or damaged: delete the run's folder, and run it again",
        ) from error


def resume(folder: Path, select: str) -> History:
    """What a folder already holds, its files brought to the epoch of `last.ckpt`, which is written first of all.

    A run that was killed between two files has an older `curves.csv`, or the last epoch's weights, which are the best,
    in `last.ckpt` alone.
    """
    state = read_last(folder)
    if state is None:
        return History()
    history = History.of(state["attnzoo"])
    history.write(folder)
    if history.best(select)[0] == history.epochs:
        weights = state["state_dict"].items()
        own = {key.removeprefix(NETWORK): value for key, value in weights if key.startswith(NETWORK)}
        write_best(folder, own, history.epochs)
    return history

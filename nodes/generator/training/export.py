"""From a training to the file that goes on stage, with its name, licence and consent: `performer export`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from engine.errors import BadInput
from engine.session import replace_file, require_writable
from nodes.generator.backends import choose
from nodes.generator.network import checkpoint
from nodes.generator.network.painter import Painter
from nodes.generator.training.examine import examine
from nodes.generator.training.plan import PERFORMER


def export(
    run: Path, out: Path, named: dict[str, str], footage: Path | None = None, onnx: Path | None = None,
    mix: Path | None = None, share: float = 0.0,
) -> None:  # fmt: skip
    """The performer of a training; measured in full where footage is given.

    named: performer, licence, consent; what is empty stays as it was. mix: a performer whose weights take `share` of
    the whole, see `mixed`. Raises `BadInput`.
    """
    for target, ending in ((out, ".safetensors"), (onnx, ".onnx")):
        if target and target.suffix != ending:
            raise BadInput(f"{target} is no name for it. Let it end in {ending}.")
        require_writable(target)
    source = run / PERFORMER if run.is_dir() else run
    if out.exists() and out != source:
        try:
            checkpoint.look(out)
        except BadInput as error:
            raise BadInput(f"{out} holds something else than a performer, and stays. Choose another --out.") from error
    performer = checkpoint.read(source)
    net = mixed(performer, checkpoint.read(mix), share, mix) if mix else performer.painter()
    given = {name: value for name, value in named.items() if value}
    about = checkpoint.about(**{**performer.about.model_dump(), **given})
    if footage:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            file = Path(folder) / PERFORMER
            checkpoint.write(file, about, performer.plate, performer.poses, net)
            found = examine(file, footage)
        metrics = {name: round(float(value), 4) for name, value in found._asdict().items()}
        about = about.model_copy(update={"metrics": metrics})
    checkpoint.write(out, about, performer.plate, performer.poses, net)
    if onnx:
        built = choose.prepare(out, "onnx", "cpu", 1).artefact
        replace_file(onnx, built.read_bytes())


def mixed(performer: checkpoint.Checkpoint, other: checkpoint.Checkpoint, share: float, name: Path) -> Painter:
    """The performer's network with `share` of the weights of `other`, from which its training began.

    What was trained on is painted a little less exactly, and poses that never occurred more steadily (Wortsman et al.
    2022, "Robust fine-tuning of zero-shot models"). name: of the other one's file. Raises `BadInput`.
    """
    if other.shape != performer.shape:
        raise BadInput(
            f"{name} has a network of another size, so they cannot be mixed. Choose the --init of the training."
        )
    net = performer.painter()
    theirs = dict(other.painter().named_parameters())
    with torch.no_grad():
        for key, weight in net.named_parameters():
            weight.lerp_(theirs[key], share)
    return net

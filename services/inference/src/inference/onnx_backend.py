"""Runs an ONNX graph on the CPU, one thread a run."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Floats = npt.NDArray[np.float32]
_PROJECTION = "projection"


def open_session(path: Path) -> ort.InferenceSession:
    """A session whose runs stay on the thread that asks for them.

    Raises:
        ValueError: the file is no graph that the runtime can run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # The runtime's exceptions have no base class of their own.
        raise ValueError(f"{path.name} cannot be loaded: {type(error).__name__}") from error


class OnnxBackend:
    """A session that several threads run at once, each on its own core.

    With one intra-op thread a run stays on the thread that asks for it, so that one session (and
    one copy of the weights) serves all of them.

    Raises:
        ValueError: the file is no graph that the runtime can run, or not one for texts.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        outputs = {entry.name for entry in self._session.get_outputs()}
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown or "input_ids" not in self._inputs or "logits" not in outputs:
            raise ValueError(f"{path.name} takes {sorted(self._inputs)}, gives {sorted(outputs)}")
        self._outputs = ["logits", _PROJECTION] if _PROJECTION in outputs else ["logits"]

    def run(
        self, token_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64]
    ) -> tuple[Floats, Floats | None]:
        """Logits [texts, labels] of token ids [texts, tokens] and their mask, 0 where padded.

        With them the pooled hidden states [texts, dimensions], where the graph gives them. A graph
        that takes no mask must be given no padding.
        """
        feeds = {"input_ids": token_ids}
        if "attention_mask" in self._inputs:
            feeds["attention_mask"] = attention_mask
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(token_ids)
        found: list[Floats] = self._session.run(self._outputs, feeds)
        return found[0], found[1] if len(found) > 1 else None

"""An epoch of small recurrent networks, by the training loop of whichever version's Python runs this.

    PYTHONPATH=CHECKOUT python -P recurrent_epoch.py '{"precision": "fp32", "steps": 200}'

Width 64, T = 35, batch 64, one thread: the mean over an LSTM of two layers, a GRU of two, and both with a convolution.
The loop is the checkout's own benchmarks/train_side.py. Prints samples a second of each, as one line of JSON.
"""

import json
import sys
from typing import Any

from benchmarks import train_side

SMALL = {
    "two bi-LSTMs": [{"kind": "bilstm"}, {"kind": "bilstm"}],
    "two bi-GRUs": [{"kind": "gru"}, {"kind": "gru"}],
    "bi-LSTM and convolution": [{"kind": "bilstm"}, {"kind": "conv"}],
}
WIDTH, BATCH, MARGIN = 64, 64, 4  # 31 scored steps and 4 more


def main(given: dict[str, Any]) -> None:
    """Train each for some steps."""
    figures = {}
    for name, blocks in SMALL.items():
        train_side.NETWORKS[name] = ("hybrid", {"width": WIDTH, "blocks": blocks})
        task = train_side.Task(side="ours", network=name, batch=BATCH, margin=MARGIN, threads=1, **given)
        figures[name] = train_side.ours(task)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

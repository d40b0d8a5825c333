#!/usr/bin/env bash
# torch: making an optimiser imports the compiler, sympy with it; that takes about as long as importing torch.
#
# One would expect: what is needed for eager training is there once torch is imported; torch.compile's own parts come with
# torch.compile, as its lazy imports say.
# What happens (torch 2.13.0): add_param_group, which each optimiser's constructor calls, and step are wrapped so that
# torch.compile leaves them alone, and the wrapper imports torch._dynamo at its first call: some 800 modules more, among
# them sympy and torch.distributed.fsdp. A model, a loss and backward() import none of them;
# updating by torch._foreach_add_ under no_grad does not, either. TORCHDYNAMO_DISABLE=1 changes nothing.
# Why it matters to a pipeline of series: small networks on many folds train in processes of their own, often for less than
# those seconds. Start a process for several cells, count it in estimates, and don't make an optimiser to predict.
#
# Installs pinned packages into a temporary folder. Exit 0: as described here; 1: it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat >"$folder/look.py" <<'PYTHON'
import sys
import time

began = time.process_time()
import torch

imported = time.process_time()
network = torch.nn.Linear(3, 1)
network(torch.zeros(2, 3)).square().mean().backward()
with torch.no_grad():
    torch._foreach_add_(list(network.parameters()), [parameter.grad for parameter in network.parameters()], alpha=-0.1)


def there():
    names = ("torch._dynamo", "sympy", "torch.distributed.fsdp")
    return ", ".join(name for name in names if name in sys.modules) or "none of them"


print("after a model, backward and an update by hand:", there())
before, begun = len(sys.modules), time.process_time()
torch.optim.SGD(network.parameters(), lr=0.1)
made = time.process_time()
more = len(sys.modules) - before
print("after making an optimiser:", there() + ",", "more than 500 modules" if more > 500 else f"{more} modules")
seconds = f"importing torch {imported - began:.1f} s, making the optimiser {made - begun:.1f} s of processor time"
print(seconds, file=sys.stderr)
PYTHON
for variables in "TORCHDYNAMO_DISABLE=0" "TORCHDYNAMO_DISABLE=1"; do # the first run writes byte code
    found=$(env "$variables" "$folder/venv/bin/python" "$folder/look.py")
    echo "torch 2.13.0, $variables:"
    echo "$found"
    expected='after a model, backward and an update by hand: none of them
after making an optimiser: torch._dynamo, sympy, torch.distributed.fsdp, more than 500 modules'
    [ "$found" = "$expected" ] || { echo "changed; expected:" && echo "$expected" && exit 1; }
done

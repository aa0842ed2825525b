#!/usr/bin/env bash
# The parity tests of hidden states on libtorch's CPU: tools/test_libtorch.sh PYTHON, where `pip install torch==2.9.1` went
# (PYTHON is e.g. peers/bin/python). LIBTORCH in place of an argument names a folder of libtorch 2.9.
set -euo pipefail
cd "$(dirname "$0")/.."
# Other 2.9.x than 2.9.0 are taken as well.
export LIBTORCH_BYPASS_VERSION_CHECK=1
if [ -n "${1:-}" ]; then
  python=$(command -v "$1")
  python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
  # torch-sys asks the `python3` of PATH.
  PATH="$(dirname "$python"):$PATH"
  export PATH LIBTORCH_USE_PYTORCH=1
  folder=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))')
else
  folder=${LIBTORCH:?usage: test_libtorch.sh PYTHON, or LIBTORCH=FOLDER test_libtorch.sh}
fi
export LD_LIBRARY_PATH="$folder/lib:${LD_LIBRARY_PATH:-}"
cargo check -p braintune-cli --features tch --locked
cargo test -p braintune --features tch --test it --locked -- --nocapture devices

#!/bin/bash
# Builds the probes into build/probes where they are not there yet, and runs them if there is a GPU. They need nothing
# but the CUDA toolkit: build them where there is time, carry build/probes to where there is a GPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=build/probes cuda=${CUDA_HOME:-/usr/local/cuda} jobs=${JOBS:-1}
flags="-std=c++20 -O3 -gencode=arch=compute_90a,code=sm_90a -Icpp"
mkdir -p $out
compile() {  # source, object
  [[ $2 -nt $1 ]] || $cuda/bin/nvcc $flags -c "$1" -o "$2"
}
export -f compile
export cuda flags
if [[ ! -x $out/product_probe || -n ${REBUILD:-} ]]; then
  sources=(benchmarks/cuda/product_probe.cu cpp/cuda/{blas,skinny_product,wgmma_product,split_product,launch}.cu)
  printf '%s\n' "${sources[@]}" | xargs -P "$jobs" -I{} bash -c 'compile {} '$out'/$(basename {}).o'
  for f in cpp/cuda/library_product.cpp cpp/core/dtype.cpp; do
    g++ -std=c++20 -O2 -Icpp -I$cuda/include -c $f -o $out/$(basename $f).o
  done
  $cuda/bin/nvcc $flags $out/*.o -lcublasLt -Xlinker -rpath -Xlinker $cuda/lib64 -o $out/product_probe
  $cuda/bin/nvcc $flags benchmarks/cuda/wgmma_probe.cu -o $out/wgmma_probe
fi
command -v nvidia-smi > /dev/null || exit 0
timeout 30 $out/wgmma_probe || echo "wgmma_probe: exit $?"
timeout 90 $out/product_probe check || echo "product_probe check: exit $?"
timeout 60 $out/product_probe time || echo "product_probe time: exit $?"

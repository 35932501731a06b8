"""Matrix products on a CPU with frozen weights in a coarse type: bfloat16, int8, int4, nf4.

blockwise.py        the autograd function of all of them, and the blockwise dequantised matmul
compiled_loops.py   int4 and nf4 products for processors with AVX2, compiled by numba
packed_integers.py  the int8 and int4 releases of ChatGLM-6B
int4_layouts.py     int4 weights as released and as torch's product reads them
nf4.py              nf4 layers of bitsandbytes
"""

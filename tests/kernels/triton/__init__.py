"""Cases for EMA's Triton kernels; `test_triton_ema.py` runs them, in the interpreter and on a GPU."""

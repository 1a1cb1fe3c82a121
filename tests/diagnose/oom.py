"""Messages of allocations that failed, as PyTorch and JAX write them."""

ASYNC = """
torch.OutOfMemoryError: Allocation on device 0 would exceed allowed memory. (out of memory)
Currently allocated     : 9.43 GiB
Requested               : 640.00 MiB
Device limit            : 11.59 GiB
Free (according to CUDA): 7.12 MiB
PyTorch limit (set by user-supplied memory fraction)
                        : 17179869184.00 GiB
"""
CACHED = """CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 10.73 GiB total capacity; \
9.55 GiB already allocated; 28.31 MiB free; 25.96 MiB cached)"""
LIMITED = """CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 80.00 \
GiB of which 70.00 GiB is free. 8.00 GiB allowed; Of the allocated memory 6.00 GiB is allocated by \
PyTorch, with 1.00 GiB allocated in private pools (e.g., CUDA Graphs), and 1.00 GiB is reserved by \
PyTorch but unallocated."""
MPS = """MPS backend out of memory (MPS allocated: 17.00 GB, other allocations: 512.00 MB, max \
allowed: 18.00 GB). Tried to allocate 1.00 GB on private pool."""
XPU = """XPU out of memory. Tried to allocate 59.61 GiB. GPU 0 has a total capacity of 28.55 GiB \
of which 12.01 GiB is free. Of the allocated memory 5.00 GiB is allocated by PyTorch, and 512.00 \
MiB is reserved by PyTorch but unallocated."""
EXACT = """[W801 09:08:57.4 CUDACachingAllocator.cpp:3933] memory allocation failed with OOM on \
device 0 while trying to allocate 580911104 bytes (free: 191430656, total: 42405855232)."""
JAX = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 3.50GiB."

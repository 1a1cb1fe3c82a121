"""Ends of logs as real programs leave them; the numbers of the first ones are the seeds' own."""

SEED_VALIDATION = """
Traceback (most recent call last):
  File "/root/sage/train_sage.py", line 412, in <module>
    main()
  File "/root/sage/train_sage.py", line 377, in validate
    out = model(batch)
  File "/usr/lib/python3/dist-packages/torch/nn/modules/module.py", line 1553, in _wrapped_call_impl
    return self._call_impl(*args, **kwargs)
torch.OutOfMemoryError: CUDA out of memory.
Tried to allocate 6.36 GiB. GPU has 15.57 GiB total, 6.14 GiB free.
Process using 9.41 GiB (7.77 GiB by PyTorch).
"""
SEED_TRAINING = """
Traceback (most recent call last):
  File "/root/sage/train_sage.py", line 201, in train_epoch
    loss.backward()
torch.OutOfMemoryError: CUDA out of memory.
Tried to allocate 3.18 GiB. GPU has 15.57 GiB total, 1.53 GiB free.
Process using 14.02 GiB (10.59 GiB allocated by PyTorch, 3.14 GiB reserved).
"""
OOM_NOW = """
[rank0]: Traceback (most recent call last):
[rank0]:   File "train.py", line 9, in step
[rank0]:     y = x @ x
[rank0]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.18 GiB. GPU 0 has a total \
capacity of 15.57 GiB of which 1.53 GiB is free. Process 1503423 has 14.02 GiB memory in use. Of \
the allocated memory 10.59 GiB is allocated by PyTorch, and 3.14 GiB is reserved by PyTorch but \
unallocated. If reserved but unallocated memory is large try setting \
PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.
"""
OOM_OLD = """
Traceback (most recent call last):
  File "train.py", line 9, in step
RuntimeError: CUDA out of memory. Tried to allocate 3.18 GiB (GPU 0; 15.57 GiB total capacity; \
10.59 GiB already allocated; 1.53 GiB free; 13.73 GiB reserved in total by PyTorch)
"""
SEED_URM = (
    "  20%|█▉        | 10360/51905 [1:42:09<6:41:49,  1.72it/s]\r"
    "  20%|█▉        | 10361/51905 [1:42:10<6:41:48,  1.72it/s]\n"
    """  Running evaluator 1/1: ARC
Traceback (most recent call last):
  File "/urm/pretrain.py", line 640, in launch
    metrics = evaluate(config, state)
  File "/urm/evaluators/arc.py", line 114, in result
    dist.gather_object(preds)
RuntimeError: Inplace update to inference tensor outside InferenceMode is not allowed.
"""
)
TORCHRUN = """E1121 11:02:03.0 4242 torch/distributed/elastic/multiprocessing/api.py:874] failed \
(exitcode: {code}) local_rank: 0 (pid: 4243) of binary: /usr/bin/python3
Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "/usr/lib/python3/dist-packages/torch/distributed/run.py", line 905, in <module>
    main()
  File "/usr/lib/python3/dist-packages/torch/distributed/launcher/api.py", line 263, in launch
    raise ChildFailedError(
torch.distributed.elastic.multiprocessing.errors.ChildFailedError: 
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2025-11-21_11:02:03
  rank      : 1 (local_rank: 1)
  exitcode  : 1 (pid: 4244)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2025-11-21_11:02:02
  host      : h
  rank      : 0 (local_rank: 0)
  exitcode  : {code} (pid: 4243)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================
"""  # noqa: W291 - torchrun ends that line with a space
TWO_RANKS = """
[rank1]: Traceback (most recent call last):
[rank0]: Traceback (most recent call last):
[rank1]:   File "/home/ada/train.py", line 30, in load
[rank1]:     raise ValueError(f"bad sample {i}")
[rank1]: ValueError: bad sample 4711
[rank0]:   File "/home/ada/train.py", line 44, in step
[rank0]:     dist.all_reduce(loss)
[rank0]: torch.distributed.DistBackendError: NCCL error in: ../csrc/ProcessGroupNCCL.cpp:1275
[rank0]: ncclRemoteError: A call failed possibly due to a network error or a remote exit.
"""
GLOO = """
Traceback (most recent call last):
  File "train.py", line 4, in step
    dist.all_reduce(x)
RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer \
[127.0.0.1]:46581
"""
WATCHDOG = """
[rank3]:[E1121 11:00:00.000000000 ProcessGroupNCCL.cpp:616] [Rank 3] Watchdog caught collective \
operation timeout: WorkNCCL(SeqNum=512, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600001 ms
terminate called after throwing an instance of 'c10::DistBackendError'
"""
SIGNALLED = """
W1121 11:02:03.0 4242 torch/distributed/elastic/agent/server/api.py:704] Received 15 death signal
Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/torch/distributed/elastic/agent/server/api.py", line 3, in f
torch.distributed.elastic.multiprocessing.api.SignalException: Process 4242 got signal: 15
"""
WORKER = """
Traceback (most recent call last):
  File "train.py", line 5, in main
    for batch in loader:
RuntimeError: Caught OSError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/torch/utils/data/_utils/worker.py", line 349, in loop
  File "/home/ada/data.py", line 7, in __getitem__
    return np.load(path)
OSError: [Errno 116] Stale file handle: '/mnt/nfs/shard-000017.npy'

"""
KILLED_WORKER = """
Traceback (most recent call last):
  File "train.py", line 5, in main
RuntimeError: DataLoader worker (pid 4711) is killed by signal: Killed.
"""


def raised(text, file="train.py", function="main"):
    """The traceback of one exception."""
    frame = f'  File "{file}", line 3, in {function}\n    x\n'
    return f"Traceback (most recent call last):\n{frame}{text}\n"

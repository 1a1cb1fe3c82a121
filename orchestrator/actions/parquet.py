"""Points as a Parquet file. Needs pyarrow, which `exp` does without: loaded by who asks for it."""

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.actions.metrics import COLUMNS, ExportRow
from orchestrator.errors import EnvironmentFailure

_GROUP = 1 << 17  # rows in memory at a time, and in a row group
_TYPES = (pa.int64(), pa.float64(), pa.int32(), pa.int32(), pa.int32(), None, pa.float64())
_NAMES = pa.dictionary(pa.int32(), pa.string())


def write_parquet(rows: Iterable[ExportRow], path: Path) -> int:
    """Write the rows group by group into a file that appears whole; return how many they were.

    Raises:
        EnvironmentFailure: the file cannot be written.
    """
    schema = pa.schema([(name, kind or _NAMES) for name, kind in zip(COLUMNS, _TYPES, strict=True)])
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    source, count = iter(rows), 0
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            while group := list(islice(source, _GROUP)):
                columns = zip(*group, strict=True)
                arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
                count += len(group)
        temporary.replace(path)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot write {path}: {error.strerror or error}", hint=f"df -h {path.parent}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return count

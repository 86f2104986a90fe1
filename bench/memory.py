"""What a day of a million remembered orders costs: memory, the longest pause of the collector, snapshot and restore.

`python bench/memory.py [--ids 1000000]`. In process: the gateway's memory alone.
"""

import argparse
import gc
import resource
import time

from risk_gateway.core.memory import Memo, Memory, Segment, id_hash


def _rss_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def measure(count: int) -> None:
    before = _rss_mb()
    memory = Memory()
    begun = time.perf_counter()
    for number in range(count):
        key = id_hash("qe1", f"qe1-{number}")
        memory.remember(key, Memo(number, number, 0), float(number))
        memory.touch(key, float(number))
    filled = time.perf_counter() - begun
    grown = _rss_mb() - before
    gc.collect()
    gc.freeze()
    begun = time.perf_counter()
    gc.collect()
    pause_ms = (time.perf_counter() - begun) * 1000
    begun = time.perf_counter()
    dumped = {number: segment.to_bytes() for number, segment in memory.segments.items()}
    dump_ms = (time.perf_counter() - begun) * 1000
    begun = time.perf_counter()
    Memory.restore({number: Segment.from_bytes(content, 0.0) for number, content in dumped.items()})
    restore_ms = (time.perf_counter() - begun) * 1000
    print(f"{f'{count:,} ids, each with its hold ended':42}  {grown:8.0f} MB")
    print(f"{'remember and touch, per id':42}  {filled / count * 1e6:8.2f} µs")
    print(f"{'full collection after freeze':42}  {pause_ms:8.2f} ms")
    print(f"{'all segments to bytes / restored':42}  {dump_ms:8.0f} / {restore_ms:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=int, default=1_000_000)
    measure(parser.parse_args().ids)

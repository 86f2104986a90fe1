"""The collector's pauses are counted while somebody is served."""

import gc

from fleet_chassis.gc_pauses import GcPauses


def test_a_collection_is_counted_with_its_time_and_none_after_the_end() -> None:
    pauses = GcPauses()
    gc.collect()
    assert (pauses.collections, pauses.longest_s) == (0, 0.0)
    pauses.watch()
    try:
        gc.collect()
        assert pauses.collections >= 1
        assert pauses.longest_s > 0
    finally:
        pauses.forget()
    seen = pauses.collections
    gc.collect()
    assert pauses.collections == seen

"""An event of the gateway's own, ready for the pipeline."""

from fleet_contracts import Event, Fact, encode


def fact_of(event: Event) -> Fact:
    """The event with its line and its id."""
    return Fact(event, encode(event), str(event.event_id))

"""What the gateway is told by its environment: the fleet's settings; its limits come from risk.yaml and the log."""

from fleet_chassis.settings import FleetSettings

__all__ = ["INSTANCE", "FleetSettings", "instance_of"]

INSTANCE = "risk-gateway-1"


def instance_of(settings: FleetSettings) -> str:
    """The name of this process among gateways; leases and snapshots go by it."""
    return settings.instance or INSTANCE

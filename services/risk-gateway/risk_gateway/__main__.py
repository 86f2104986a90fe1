"""The command `risk-gateway`."""

from fleet_chassis.service_app import run_service
from risk_gateway.service import SERVICE, serve_gateway


def main() -> None:
    run_service(SERVICE, serve_gateway)


if __name__ == "__main__":
    main()

"""The command `ingest`."""

from fleet_chassis.service_app import run_service
from fleet_ingest.service import SERVICE, serve_ingest


def main() -> None:
    run_service(SERVICE, serve_ingest)


if __name__ == "__main__":
    main()

# One image for every service of the fleet, the simulated bot and the `supervisor` command. What builds and installs stays in the
# first stage; the image that runs holds Python, the locked packages, the fleet, and nobody's secrets. Run by docker-compose.yml.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_CACHE_DIR=/build/cache
WORKDIR /build
RUN python -m venv tools && python -m venv --without-pip /opt/venv
# Every package with its hash; nkeys alone comes as source (pure Python) and is made a wheel by tools that are locked as well.
COPY requirements-build.lock requirements-image.lock ./
RUN --mount=type=cache,target=/build/cache \
    tools/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock \
 && tools/bin/pip wheel --require-hashes --only-binary :all: --no-binary nkeys --no-build-isolation \
    --wheel-dir locked -r requirements-image.lock \
 && tools/bin/pip --python /opt/venv/bin/python install --no-deps --no-index locked/*.whl
COPY pyproject.toml README.md ./
COPY libs libs
COPY services services
COPY simulator simulator
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels ./libs/contracts ./libs/sdk . \
 && tools/bin/pip --python /opt/venv/bin/python install --no-deps --no-index wheels/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="QuantumEdge Supervisor" \
      org.opencontainers.image.licenses="Apache-2.0"
# The user that every container of the fleet runs as; QuestDB's image has the same number. The folders belong to it, and so
# do the volumes that are mounted there: Docker gives an empty volume the owner of the folder it first appears on.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /fleet --shell /usr/sbin/nologin fleet \
 && install -d -o fleet -g fleet -m 0700 /fleet /fleet/secrets /fleet/latch /fleet/snapshots /fleet/spool /fleet/run /fleet/logs \
    /fleet/data /fleet/data/nats /fleet/data/questdb /fleet/data/venue
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/fleet
COPY deploy/config deploy/config
COPY deploy/questdb deploy/questdb
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    FLEET_HOME=/fleet FLEET_CONFIG=/opt/fleet/deploy/config SUPERVISOR_CONTAINERS=1
USER 10001:10001
CMD ["supervisor", "--help"]

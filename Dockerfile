# The product in one image: `chatapi up`, or one of its parts (compose.yaml). It runs as a user without rights.
FROM debian:trixie-slim AS base
ENV PATH=/opt/chatapi/bin:$PATH PYTHONUNBUFFERED=1
# Debian's current packages, not pinned versions: an image that is built again has their security updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip python3 -m venv /opt/chatapi \
    && pip install --require-hashes -r requirements.lock
COPY LICENSE README.md hatch_build.py pyproject.toml ./
COPY docs/openapi.yaml docs/
COPY docs/receivers docs/receivers
COPY deploy deploy
COPY static static
COPY templates templates
COPY accounts accounts
COPY chatapi chatapi
COPY hooks hooks
COPY instances instances
COPY testing_tools testing_tools
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps . \
    && pip uninstall --yes pip \
    && python -m compileall -q /opt/chatapi/lib

FROM base
RUN groupadd --gid 10001 chatapi \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/chatapi --create-home chatapi
COPY --from=build /opt/chatapi /opt/chatapi
ENV DATA_DIR=/var/lib/chatapi HOST=0.0.0.0 PORT=8000
USER 10001:10001
WORKDIR /var/lib/chatapi
VOLUME /var/lib/chatapi
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=2m \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=5)"]
CMD ["chatapi", "up"]

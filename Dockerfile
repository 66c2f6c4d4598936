# The standalone server with Sail and the sample lake: `docker build --tag asklake . && docker run --publish 8080:8080 asklake`.
# The images are pinned by tag, not by digest: the registry could not be reached from where this was written.

FROM node:20-bookworm-slim AS page
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel error
COPY web .
RUN npx vite build --logLevel warn

FROM rust:1.95-bookworm AS program
WORKDIR /src
COPY . .
COPY --from=page /web/dist web/dist
RUN cargo build --locked --release

FROM node:20-bookworm-slim AS sample
WORKDIR /sample
COPY data/package.json data/package-lock.json data/sample.mjs ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel error \
    && node sample.mjs node_modules/vega-datasets/data/movies.json /sample/imdb

FROM python:3.11-slim-bookworm
COPY requirements/sail.txt /tmp/sail.txt
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: --requirement /tmp/sail.txt \
    && useradd --system --uid 10001 --no-create-home asklake \
    && install --directory --owner asklake /var/lib/asklake
COPY --from=program /src/target/release/asklake /usr/local/bin/asklake
# Reads the sample where it is: it does not become part of the image.
RUN --mount=type=bind,from=sample,source=/sample/imdb,target=/mnt/sample asklake import /mnt/sample --lake /opt/asklake/lake
# A lake of one's own is mounted over LAKE_DIR; conversations are kept in the volume.
ENV ASKLAKE_DATA_DIR=/var/lib/asklake LAKE_DIR=/opt/asklake/lake SAIL_BIN=/usr/local/bin/sail
USER 10001
WORKDIR /var/lib/asklake
VOLUME /var/lib/asklake
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/health', timeout=4)"]
ENTRYPOINT ["asklake"]
CMD ["serve", "--listen", "0.0.0.0:8080"]

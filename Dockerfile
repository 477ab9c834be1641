# The server in an image: the same `switchgear serve` as `make serve`, with the embedded models inside.
#
#   docker build -t switchgear .
#   docker run -p 8080:8080 -e SWITCHGEAR_KEY=a-long-secret switchgear
#   docker run -p 8080:8080 -e SWITCHGEAR_KEY=… -v ./config:/etc/switchgear:ro -v switchgear:/var/lib/switchgear switchgear
#
# What is written belongs into the volume at /var/lib/switchgear: the SQLite database, and what waits for a database. The rest
# of the file system may be read-only.
#
# A container listens on all its addresses, and the server refuses that without keys: the configuration in deploy/ reads
# one from SWITCHGEAR_KEY. Secrets come from the environment (env:NAME) or mounted files (file:/run/secrets/…), never from
# the image.

FROM python:3.11-slim AS build
WORKDIR /src
COPY LICENSE README.md pyproject.toml ./
COPY requirements requirements
COPY scripts scripts
COPY gateway gateway
COPY mcp_servers mcp_servers
RUN scripts/install.sh /opt/switchgear

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --create-home --shell /usr/sbin/nologin switchgear \
    && install --directory --owner=switchgear --group=switchgear --mode=0700 /var/lib/switchgear
COPY --from=build /opt/switchgear /opt/switchgear
COPY deploy/switchgear.yaml /etc/switchgear/switchgear.yaml
COPY policies /etc/switchgear/policies
ENV PATH=/opt/switchgear/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/switchgear
# After its owner was made: a new volume gets the folder's owner and mode.
VOLUME /var/lib/switchgear
EXPOSE 8080
# Without curl in the image. Not ready (503) is an HTTPError, and so unhealthy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["switchgear"]
CMD ["serve", "--config", "/etc/switchgear/switchgear.yaml"]

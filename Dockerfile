# Two stages: the first installs from the lock, the second holds the gateway alone.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/simpul && python -m pip install --no-cache-dir uv==0.13.9
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv export --quiet --frozen --no-dev --all-extras --no-emit-project --output-file requirements.txt \
 && uv pip install --no-cache --python /opt/simpul/bin/python --require-hashes -r requirements.txt
COPY app app
COPY migrations migrations
COPY examples examples
RUN uv pip install --no-cache --python /opt/simpul/bin/python --no-deps .

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/simpul --create-home simpul
COPY --from=build /opt/simpul /opt/simpul
ENV PATH=/opt/simpul/bin:$PATH SIMPUL_DIR=/var/lib/simpul SIMPUL_HOST=0.0.0.0 SIMPUL_PORT=8000
USER simpul
VOLUME /var/lib/simpul
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["simpul"]
CMD ["serve"]

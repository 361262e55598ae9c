"""Settings of one gateway process, read once from the environment (`SIMPUL_…`) and passed on.

Lives here: every knob, its unit and its default. Does not live here: facts of the instance that are fixed at `simpul init`
(they stand in `DIR/instance.json` and are read by `load_settings`, the environment wins).
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

INSTANCE_FILE = "instance.json"


class Settings(BaseSettings):
    """All settings. Seconds, bytes and rows stand last in the names."""

    model_config = SettingsConfigDict(env_prefix="SIMPUL_", extra="ignore", frozen=True)

    # where and who
    dir: Path = Field(default=Path(".simpul"), description="Folder of the instance: databases, keys, inboxes, spool")
    database_url: SecretStr | None = Field(default=None, description="postgresql://… puts the instance on PostgreSQL")
    instance: str = Field(default="ID-JEPARA", pattern=r"^[A-Za-z][A-Za-z0-9-]*$", description="Name of the instance")
    region: str = Field(default="33.20", description="Kemendagri code of the region this instance serves")
    bbox: tuple[float, float, float, float] = Field(
        default=(110.0, -7.1, 111.2, -5.6),
        description="Bounding box of the region: west, south, east, north (CRS84). Records with a place outside it carry a warning",
    )
    zone: str = Field(default="Asia/Jakarta", description="Time zone of dates that carry none")
    base_url: str = Field(default="http://127.0.0.1:8000", description="Address at which callers reach the gateway")
    log_origin: str = Field(
        default="", description="Origin line of the log; empty: base_url without its scheme, + /log"
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one")

    ca_file: Path | None = Field(
        default=None,
        description="File of authorities (PEM) that connections to sources and witnesses trust; empty: those of the system",
    )

    # limits of a request
    request_body_bytes: int = Field(
        default=1_048_576, ge=1024, description="Largest request body except uploads and matches (64 MiB)"
    )
    upload_bytes: int = Field(default=536_870_912, ge=1024, description="Largest upload into an agency's inbox")
    header_bytes: int = Field(default=32_768, ge=1024, description="Largest sum of request headers")
    json_depth: int = Field(default=64, ge=4, description="Deepest nesting of a JSON body")
    request_seconds: float = Field(default=30.0, gt=0, description="Longest time for one request (uploads: 1 hour)")
    read_seconds: float = Field(
        default=10.0, gt=0, description="Longest time for the head of a request, and between two pieces of its body"
    )
    connections_per_address: int = Field(
        default=1000,
        ge=1,
        description="Connections that one address may hold; behind a proxy all come from its address",
    )
    concurrent_requests: int = Field(
        default=1000,
        ge=1,
        description="Requests worked on at once; more get 503. One client (one address before it is known) holds three quarters",
    )
    answer_memory_bytes: int = Field(
        default=8_388_608, ge=1024, description="Answer kept in memory; above it is spooled"
    )
    answer_spool_bytes: int = Field(default=2_147_483_648, ge=1024, description="Largest spooled answer; above it 413")
    spool_bytes: int = Field(
        default=8_589_934_592,
        ge=1024,
        description="Space of all answers on their way and what is sorted for them; one client holds three quarters",
    )
    job_result_bytes: int = Field(
        default=4_294_967_296, ge=1024, description="Space of one client's finished job results"
    )
    log_reserve_bytes: int = Field(
        default=268_435_456, ge=0, description="Free space of the disk that only the exchange log may use; below it 507"
    )
    agency_file_bytes: int = Field(
        default=10_737_418_240,
        ge=1024,
        description="Space of one agency's uploads with their versions, and as much again of copies of its files from elsewhere",
    )
    file_versions: int = Field(default=30, ge=1, description="Versions of one uploaded file whose bytes are kept")
    open_uploads: int = Field(default=20, ge=1, description="Uploads in parts that one agency may have open at once")
    open_upload_seconds: int = Field(
        default=86_400,
        ge=60,
        description="Longest time from the beginning of an upload in parts to its end; then it is given up",
    )
    detail_bytes_per_hour: int = Field(
        default=67_108_864,
        ge=1024,
        description="Space in the log's details that one client's requests may take in an hour",
    )
    page_rows: int = Field(default=1000, ge=1, le=1000, description="Most records on one page")
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description='Networks (JSON list, `["10.0.0.5/32"]`) of proxies whose X-Forwarded-For tells the caller\'s address; none unless set',
    )
    refusals_per_minute: int = Field(
        default=600,
        ge=10,
        description="Answers 401 that one address may cause in a minute, then 429; a wrong client secret counts as ten",
    )
    rate_per_minute: int = Field(
        default=6000, ge=1, description="Requests a client may make in a minute, of all replicas together"
    )
    agreement_rate_per_minute: int = Field(
        default=6000, ge=1, description="Requests that may rest on one agreement in a minute, of all replicas together"
    )
    subject_usage_per_minute: int = Field(
        default=60, ge=1, description="Questions about one person that an auditor may ask in a minute"
    )

    verify_requests_per_day: int = Field(
        default=20_000, ge=1, description="Verifications of persons that one agreement may ask for in a day"
    )
    verify_people_per_day: int = Field(
        default=5_000, ge=1, description="Distinct persons that one agreement may ask about in a day"
    )
    not_found_burst: int = Field(
        default=20, ge=1, description="Persons not found within ten minutes under one agreement that are an alarm"
    )

    # sources
    source_deadline_seconds: float = Field(
        default=10.0, gt=0, description="Deadline of a source unless its manifest says less"
    )
    source_concurrency: int = Field(default=8, ge=1, description="Scans of one connector at once (bulkhead)")
    source_rows: int = Field(default=5_000_000, ge=1, description="Most rows read from a source in one scan")
    source_bytes: int = Field(default=1_073_741_824, ge=1024, description="Most bytes read from a source in one scan")
    health_seconds: float = Field(
        default=300.0,
        ge=0,
        description="Time between two scheduled checks of a source, unless its manifest says otherwise; 0: none",
    )
    snapshot_bytes: int = Field(
        default=10_737_418_240, ge=1024, description="Space of one agency's snapshots; above it none is taken"
    )
    snapshot_seconds: float = Field(default=3600.0, gt=0, description="Longest time that a snapshot is taken")
    breaker_failures: int = Field(default=5, ge=1, description="Failures in a row that open a connector's circuit")
    breaker_seconds: float = Field(default=30.0, gt=0, description="How long a circuit stays open before one probe")
    parse_memory_bytes: int = Field(
        default=1_073_741_824, description="Memory limit of a spreadsheet-parsing subprocess"
    )
    check_rows: int = Field(default=1_000_000, ge=1, description="Most records that a check maps")
    check_seconds: float = Field(default=20.0, gt=0, description="Longest time that a check maps records")
    check_reject_share: float = Field(
        default=0.1, ge=0, le=1, description="Above this share of rejected records a check asks for accept_rejects"
    )
    sql_workers: int = Field(
        default=4, ge=1, description="Processes for callers' SQL at once (512 MiB each); more wait, shared by client"
    )
    quarantine_rows: int = Field(default=1000, ge=0, description="Rejected records kept per connector")

    # exchange log
    log_batch_entries: int = Field(default=256, ge=1, description="Most entries committed in one transaction")
    log_queue_entries: int = Field(default=4096, ge=1, description="Entries waiting for the writer; more get 503")
    data_tracker: bool = Field(
        default=False, description="Serve the Data Tracker routes under /v2, which carry the identifier in the URL"
    )
    detail_days_least: int = Field(
        default=30, ge=1, le=36_500, description="Fewest days that an agreement may keep the details of its exchanges"
    )
    detail_days_most: int = Field(
        default=3650, ge=1, le=36_500, description="Most days that an agreement may keep the details of its exchanges"
    )
    checkpoint_seconds: float = Field(default=1.0, gt=0, description="Time between signed checkpoints")
    log_policy: Path | None = Field(
        default=None, description="Policy file (C2SP tlog-policy) naming the log's witnesses"
    )
    witness_failure_seconds: float = Field(
        default=14_400.0, gt=0, description="Longest time without a quorum of witnesses; then nothing is released"
    )

    # open data without a token
    public_open_data: bool = Field(
        default=False, description="Fields classed terbuka can be read without a token; recorded with client PUBLIC"
    )
    public_rate_per_minute: int = Field(
        default=60, ge=1, description="Requests a minute of one address that sends no token (of IPv6 its /64)"
    )

    # browsers and people
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins (JSON list) whose pages may call the API from a browser; none unless set"
    )
    security_contact: str = Field(
        default="https://github.com/simpul-id/simpul/security", description="Contact in /.well-known/security.txt"
    )

    oidc_issuer: str = Field(
        default="", description="Issuer of the OIDC provider at which people may sign in too; empty: none"
    )
    oidc_client_id: str = Field(default="", description="What the gateway is called at the OIDC provider")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Its secret at the OIDC provider")
    session_seconds: int = Field(default=28_800, ge=60, le=86_400, description="Life of a person's session")
    session_idle_seconds: int = Field(
        default=1800, ge=1, le=86_400, description="How long a person's session lives without a request"
    )

    # tokens
    token_seconds: int = Field(default=900, ge=60, le=900, description="Life of an access token")

    # logging
    log_level: str = Field(default="INFO", description="Level of the process's own log lines (stdout, JSON)")
    drain_seconds: float = Field(
        default=20.0, ge=0, description="How long a stopping gateway waits for requests under way"
    )

    @property
    def embedded(self) -> bool:
        """True when the stores are SQLite files in `dir`."""
        return self.database_url is None

    @property
    def origin(self) -> str:
        """Schemeless origin of the log (C2SP checkpoint, first line)."""
        if self.log_origin:
            return self.log_origin
        return self.base_url.split("://", 1)[-1].rstrip("/") + "/log"


def load_settings(**overrides: Any) -> Settings:
    """Settings from `DIR/instance.json`, then the environment, then `overrides` (None values are ignored)."""
    given = {name: value for name, value in overrides.items() if value is not None}
    folder = Path(given.get("dir") or Settings().dir)
    stored: dict[str, Any] = {}
    file = folder / INSTANCE_FILE
    if file.is_file():
        stored = json.loads(file.read_text("utf-8"))
    environment = Settings().model_fields_set
    merged = {name: value for name, value in stored.items() if name not in environment}
    return Settings(**{**merged, **given})

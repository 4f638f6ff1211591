"""Settings of everything the routers share. Environment: `WEFT_API__<FIELD>`."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Network = IPv4Network | IPv6Network


class RateLimit(BaseModel):
    """One named limit: so many requests in a window of 60 s that begins with the first one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: int = Field(ge=0, description="Requests per minute for each key; 0 means no limit.")
    per: tuple[Literal["ip", "user"], ...] = Field(
        description="Keys that are counted: the network address (ip), the signed-in principal (user), or both."
    )


class ApiSettings(BaseModel):
    """How Weft behaves on the wire, whatever the route."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cors_origins: tuple[str, ...] = Field(
        default=(), description="Origins (scheme://host:port) whose pages may call this API from a browser; `*` means any."
    )
    cors_methods: tuple[str, ...] = Field(
        default=("GET", "POST", "PUT", "PATCH", "DELETE"), description="Methods that other origins may use."
    )
    cors_headers: tuple[str, ...] = Field(
        default=("*",), description="Request headers that other origins may send; `*` means any."
    )
    cors_credentials: bool = Field(
        default=False, description="Whether other origins may send cookies; refused together with the origin `*`."
    )
    cors_max_age_s: int = Field(default=600, ge=0, description="Seconds a browser may remember a pre-flight answer.")

    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Networks (CIDR) of reverse proxies whose X-Forwarded-For is believed."
    )
    hsts_max_age_s: int = Field(
        default=0, ge=0, description="Seconds browsers shall insist on HTTPS; 0 leaves the header out. Set it behind TLS only."
    )

    rate_limit_enabled: bool = Field(default=True, description="Whether rate limits apply.")
    rate_limit_burst_size: int = Field(
        default=10, ge=0, description="Requests beyond a limit that still pass in each window of 60 s, with 0 remaining."
    )
    rate_limits: dict[str, RateLimit] = Field(
        default={
            "events": RateLimit(requests_per_minute=100, per=("ip", "user")),
            "dashboard": RateLimit(requests_per_minute=200, per=("user",)),
        },
        description="The named limits.",
    )
    rate_limit_max_keys: int = Field(default=100_000, ge=1, description="Keys remembered at most; the oldest go first.")

    max_body_bytes: int = Field(
        default=1024 * 1024, ge=1, description="Bytes a request body may have where a route sets no limit of its own."
    )
    max_buffered_bytes: int = Field(
        default=256 * 1024 * 1024, ge=1, description="Bytes of unfinished request bodies held at once by the whole process."
    )
    body_timeout_s: float = Field(default=30.0, gt=0, description="Seconds a client may take to send a request body.")

    metrics_enabled: bool = Field(default=True, description="Whether GET /metrics answers.")
    metrics_prefix: str = Field(
        default="weft", pattern=r"^[a-z][a-z0-9_]*$", description="First word of every metric's name, such as `streamflow`."
    )
    access_log: Literal["all", "failures", "off"] = Field(
        default="all", description="Which requests get a log line: all, only those answered 500 or above, or none."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        default="INFO", description="Log lines below this level are left out."
    )
    log_format: Literal["auto", "json", "human"] = Field(
        default="auto", description="One JSON object a line, or text for people; `auto` is text on a terminal, else JSON."
    )

    health_timeout_s: float = Field(
        default=2.0, gt=0, description="Seconds a health probe may take before it counts as failed."
    )

    websocket_auth_timeout_s: float = Field(
        default=5.0, gt=0, description="Seconds a WebSocket client has to say who it is with its first frame."
    )
    websocket_connections_per_ip: int = Field(
        default=10, ge=0, description="WebSockets one network address may have open; 0 means no limit."
    )
    websocket_recheck_s: float = Field(
        default=60.0,
        ge=0,
        description="Seconds between looks whether an open WebSocket is still allowed (log-out, expiry); 0 means never.",
    )
    websocket_max_frame_bytes: int = Field(default=1024 * 1024, ge=1, description="Bytes one WebSocket message may have.")
    websocket_max_depth: int = Field(default=32, ge=1, description="How deep a WebSocket message's JSON may be nested.")

    otlp_endpoint: str | None = Field(
        default=None, description="Base URL of an OpenTelemetry collector (OTLP over HTTP); traces are off without it."
    )
    trace_sample_ratio: float = Field(default=1.0, ge=0, le=1, description="Share of requests that are traced.")

    @field_validator("cors_origins", "cors_methods", "cors_headers", "trusted_proxies", mode="before")
    @classmethod
    def _split_text(cls, value: object) -> object:
        """`a, b` from an environment variable means the same as a list."""
        if isinstance(value, str) and not value.lstrip().startswith("["):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ip_network(text, strict=False)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and ("://" not in origin or origin.count("/") != 2):
                raise ValueError(f"'{origin}' is not an origin; write it like https://example.org or http://localhost:3000")
        return tuple(origin.lower() for origin in value)

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("cors_credentials cannot be on while cors_origins holds '*'; list the origins")
        return self

    def trusted_networks(self) -> tuple[Network, ...]:
        """The trusted proxies as networks."""
        return tuple(ip_network(text, strict=False) for text in self.trusted_proxies)

"""What an installation says about its Spectrum company."""

from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr

from tieout.settings import Section

SYSTEM = "Spectrum"


class Settings(Section):
    """The section `[spectrum]`; TIEOUT_SPECTRUM__AUTHORIZATION_ID and __INFO_LINK_URL hold the secrets."""

    url: str
    company_code: str = Field(min_length=1, max_length=3)
    authorization_id: SecretStr
    info_link_url: SecretStr
    currency: str = "USD"
    time_zone: str = "UTC"  # of the server that writes the stamps
    timeout: float = Field(60.0, gt=0)  # seconds
    settles_seconds: float = Field(120.0, ge=0)  # a write is visible to Info-Link after this at the latest
    invoices_per_call: int = Field(50, ge=1, le=500)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the stamps, and of what is today there."""
        return ZoneInfo(self.time_zone)

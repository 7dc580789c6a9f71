"""What an installation says about its Procore company."""

from pydantic import Field, SecretStr, field_validator

from tieout.settings import Section
from tieout.settings import Settings as CompanySettings

SYSTEM = "Procore"


class Settings(Section):
    """The section `[procore]`; the secret belongs into TIEOUT_PROCORE__CLIENT_SECRET."""

    api_url: str = "https://api.procore.com"
    login_url: str = "https://login.procore.com"
    company_id: int
    client_id: str
    client_secret: SecretStr
    timeout: float = Field(60.0, gt=0)  # seconds
    per_page: int = Field(500, ge=1, le=2000)
    settles_seconds: float = Field(120.0, ge=0)  # a write is visible to a look after this at the latest
    # Where a person opens an invoice. Procore documents no such address, so this one is modelled.
    web_url: str = "https://app.procore.com/{project}/project/commitments/{commitment}/requisitions/{invoice}"

    @field_validator("web_url")
    @classmethod
    def _must_fit(cls, pattern: str) -> str:
        try:
            pattern.format(company=1, project=2, commitment=3, invoice=4)
        except (LookupError, ValueError, AttributeError):
            raise ValueError("it may hold {company}, {project}, {commitment} and {invoice} only") from None
        return pattern


def web_url(settings: CompanySettings) -> str:
    """Return the pattern of an invoice's address, with {company}, {project}, {commitment} and {invoice} in it."""
    return settings.section(Settings, "procore").web_url

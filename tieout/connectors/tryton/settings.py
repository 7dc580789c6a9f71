"""What an installation says about its Tryton company."""

from typing import Literal

from pydantic import Field, SecretStr

from tieout.settings import Section

SYSTEM = "Tryton"
Axis = Literal["job", "phase", "cost_type"]


class Settings(Section):
    """The section `[tryton]`; TIEOUT_TRYTON__PASSWORD holds the secret."""

    url: str  # of the server, without the database
    database: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password: SecretStr
    company: str = Field(min_length=1)  # the name of the company's party
    retention_account: str = Field(min_length=1)  # the code of the liability account
    job_root: str = "JOB"
    phase_root: str = "PHASE"
    cost_type_root: str = "COST TYPE"
    has_unique_key: bool = False  # an index in Tryton's database refuses a second invoice with our key
    timeout: float = Field(60.0, gt=0)  # seconds
    settles_seconds: float = Field(120.0, ge=0)  # a write whose answer was lost is committed after this at the latest
    invoices_per_call: int = Field(50, ge=1, le=500)

    @property
    def path(self) -> str:
        """The path of all calls."""
        return f"/{self.database}/rpc/"

    @property
    def roots(self) -> dict[Axis, str]:
        """The codes of the analytic roots."""
        return {"job": self.job_root, "phase": self.phase_root, "cost_type": self.cost_type_root}

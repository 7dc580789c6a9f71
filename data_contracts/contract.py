"""The one base of every data contract: frozen, strict, closed to unknown fields."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """A value that two parts of the product agree on; built once, never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

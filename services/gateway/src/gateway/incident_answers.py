"""Drift incidents: value types that are answers, too."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from gateway.drift_answers import Estimate

IncidentState = Literal["open", "acknowledged", "silenced", "closed"]


class IncidentSignal(BaseModel):
    """A signal that was called drift in the last window that drifted."""

    signal: str = Field(examples=["input_tokens"])
    direction: str = Field(examples=["up"])
    effect: Estimate
    p_value: float = Field(description="Chance of as much without drift.", examples=[0.0004])


class Incident(BaseModel):
    """A drift that lasts."""

    incident_id: str = Field(examples=["0199f3c2-6f0a-7c1e-9d55-2b8f4c6e0a33"])
    revision: int = Field(description="Counts its changes from 1.")
    tenant: str | None = Field(
        description="Null for an incident of all tenants together.", examples=["acme"]
    )
    model: str = Field(examples=["sentiment"])
    model_version: str = Field(examples=["2"])
    group: str = Field(
        description="text, projection, tabular, output, service, feedback or sudden break.",
        examples=["text"],
    )
    signal: str = Field(
        description="The one that drifted most when it was opened.", examples=["input_tokens"]
    )
    direction: str = Field(description="up, down or changed.", examples=["up"])
    state: IncidentState
    opened_at: datetime
    changed_at: datetime
    began_at: datetime = Field(
        description="First prediction of the first window that drifted; of a sudden break, when "
        "it most likely happened."
    )
    last_drift_at: datetime = Field(description="Last prediction of the last window that drifted.")
    closed_at: datetime | None
    severity: str = Field(
        description="info, warning or critical: by the accuracy that is expected to be lost.",
        examples=["critical"],
    )
    expected_loss: Estimate | None = Field(
        description="Accuracy, with a 95 % interval; null where nobody can say."
    )
    action: str = Field(description="wait, investigate or retrain.", examples=["investigate"])
    reasons: list[str] = Field(
        examples=[["Accuracy is expected to be 7.1 points lower than on the reference."]]
    )
    signals: list[IncidentSignal]
    windows_drifted: int
    windows_clean: int = Field(description="Since the last one that drifted; three close it.")
    reference: str = Field(
        description="What its windows were compared with.", examples=["validation split"]
    )
    acknowledged_at: datetime | None
    acknowledged_by: str | None = Field(examples=["on-call"])
    silenced_until: datetime | None
    silenced_by: str | None = Field(examples=["on-call"])


class Incidents(BaseModel):
    """A page of incidents, newest first."""

    incidents: list[Incident]
    next_cursor: str | None = Field(description="Null on the last page.", examples=["AZnzwm8KfB6d"])

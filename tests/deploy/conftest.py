"""The chart, rendered with each of its example values."""

import pytest
import yaml
from deploy.chart_rendering import EXAMPLES, Rendered, render


@pytest.fixture(
    scope="session",
    params=EXAMPLES,
    ids=lambda file: file.stem.removesuffix("-values"),
)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """The chart with one of the example values."""
    return render(yaml.safe_load(request.param.read_text()) or {})

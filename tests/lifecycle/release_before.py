"""Runs the prediction log as a release that does not know the newest migration.

Its code is today's; what it takes the schema to be is what the release before would.
"""

import sys

from prediction_log import __main__ as service
from prediction_log import migrate

known = migrate.schema_revisions()[:-1]
service.schema_revisions = lambda: known  # type: ignore[attr-defined]
sys.exit(service.main())

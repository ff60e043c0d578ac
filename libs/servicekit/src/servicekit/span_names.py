"""Names of the spans and attributes that services make themselves, as people search for them.

What OpenTelemetry's instrumentations make has the names of its semantic conventions; these follow
their form: `<service>.<what it does>`, and `weir.<attribute>` where the conventions have no word.
"""

CHARGE = "gateway.charge"
"""The decision of all quota policies of a request."""
ANSWER = "inference.answer"
"""A call's items, from the queue until the model has answered."""
RECORD = "inference.record"
"""The answers' way onto the event stream, until it has acknowledged them."""
PREDICT_ITEM = "inference.predict_item"
"""An item in its own request's trace, where another request's call carried it."""
INSERT_EVENT = "prediction_log.insert"
"""An event's row, in the trace of the request that the event comes from."""
OBSERVE_EVENT = "drift.observe"
"""An event's share in a window, in the trace of the request that the event comes from."""

MODEL = "weir.model"
MODEL_VERSION = "weir.model_version"
PREDICTION_ID = "weir.prediction_id"
CACHED = "weir.cached"
"""Whether the answer came from the cache of answers."""

"""Names of the files of a run, for those who read it without torch."""

IDENTITY = "run.json"
LOG = "log.jsonl"
MODEL = "model"
CHECKPOINTS = "checkpoints"

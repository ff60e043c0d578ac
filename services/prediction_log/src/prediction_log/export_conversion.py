"""What an export is asked for in the log's own words, and its pieces as the contract has them."""

from prediction_log.converters import invalid
from prediction_log.domain import ExportFormat, ExportPiece
from weir.predictions.v1 import predictions_pb2

_FORMATS = {
    predictions_pb2.EXPORT_FORMAT_CSV: ExportFormat.CSV,
    predictions_pb2.EXPORT_FORMAT_JSON_LINES: ExportFormat.JSON_LINES,
    predictions_pb2.EXPORT_FORMAT_PARQUET: ExportFormat.PARQUET,
}


def format_from(value: predictions_pb2.ExportFormat) -> ExportFormat:
    """What the file is to be.

    Raises:
        InvalidRequest: it is none that this version knows.
    """
    if value not in _FORMATS:
        raise invalid("format", "is not stated, or not known")
    return _FORMATS[value]


def to_export_response(piece: ExportPiece) -> predictions_pb2.ExportPredictionsResponse:
    """The next bytes."""
    return predictions_pb2.ExportPredictionsResponse(
        data=piece.data,
        rows=piece.rows,
        last_prediction_id=str(piece.last) if piece.last else "",
    )

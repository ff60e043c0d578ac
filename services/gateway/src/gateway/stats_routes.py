"""GET /v1/stats and /v1/stats/series."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Security

from gateway.access import BearerAccess, Caller
from gateway.api_description import reading
from gateway.log_query import Before, From, Matching, Word, fields_as_parameters
from gateway.prediction_log_client import PredictionQuery
from gateway.stats_answers import PredictionStats, StatsSeries
from gateway.stats_client import StatsClient


def stats_routes(access: BearerAccess, stats: StatsClient) -> APIRouter:
    """The routes on the tenant's own log; the tenant is always the token's."""
    router = APIRouter(tags=["log"])
    may_read: Caller = Security(access, scopes=["predictions:read"])

    @router.get("/v1/stats", responses=reading(), summary="Counts and quantiles")
    async def get_stats(query: Matching, caller: Caller = may_read) -> PredictionStats:
        with fields_as_parameters():
            return await stats.overall(caller.tenant, query)

    @router.get(
        "/v1/stats/series",
        responses=reading(),
        summary="Counts and quantiles by hour or day",
        description="From counts that are kept up to date as predictions and feedback arrive, so "
        "that months cost milliseconds. At most 1000 buckets: six weeks of hours or close to three "
        "years of days. For example `?bucket=day&model=sentiment&by_version=true`.",
    )
    async def get_series(
        bucket: Annotated[
            Literal["hour", "day"] | None,
            Query(description="Default: hours for up to seven days, days beyond."),
        ] = None,
        model: Word = None,
        version: Word = None,
        predicted_from: From = None,
        before: Before = None,
        shadow: Annotated[
            bool, Query(description="Counts what callers never saw instead of what they saw.")
        ] = False,
        by_version: Annotated[
            bool, Query(description="A line of buckets for each version instead of one for all.")
        ] = False,
        caller: Caller = may_read,
    ) -> StatsSeries:
        query = PredictionQuery(
            model=model or "",
            model_version=version or "",
            predicted_from=predicted_from,
            predicted_before=before,
            shadow=shadow,
        )
        with fields_as_parameters():
            return await stats.series(
                caller.tenant, query, bucket=bucket or "", by_version=by_version
            )

    return router

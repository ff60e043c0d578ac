"""Compares a service's table of methods and scopes with the methods that it has."""

from collections.abc import Collection, Mapping

from google.protobuf import descriptor_pool


def methods_of(services: Collection[str]) -> frozenset[str]:
    """Full names, `/package.Service/Method`, of all methods of these services.

    Raises:
        KeyError: there is no such service in the contracts that this process has imported.
    """
    pool = descriptor_pool.Default()
    return frozenset(
        f"/{service}/{method.name}"
        for service in services
        for method in pool.FindServiceByName(service).methods
    )


def unmatched_methods(scopes: Mapping[str, str], services: Collection[str]) -> frozenset[str]:
    """Methods without a scope, which nobody could call, and scopes of no method at all."""
    return methods_of(services) ^ scopes.keys()

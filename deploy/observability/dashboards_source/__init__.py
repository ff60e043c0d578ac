"""Grafana dashboards as code: `make dashboards` renders them beside this package."""

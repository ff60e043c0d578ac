"""What `make manifests` writes is what lies in the repository."""

import kustomization
import values_table


def test_kustomize_folders_are_what_the_chart_makes() -> None:
    made = kustomization.folders()
    there = {
        str(file.relative_to(kustomization.TARGET)): file.read_text()
        for file in kustomization.TARGET.rglob("*.yaml")
    }
    assert sorted(there) == sorted(made)
    assert [path for path, text in made.items() if there[path] != text] == []


def test_readme_of_the_chart_explains_every_value() -> None:
    assert (values_table.CHART / "README.md").read_text() == values_table.readme()
    rows = values_table.table((values_table.CHART / "values.yaml").read_text()).splitlines()
    assert [row for row in rows if row.endswith("|  |")] == []

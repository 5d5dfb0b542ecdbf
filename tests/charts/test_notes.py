"""NOTES.txt: the output of helm after an installation."""

import pytest

from conftest import render


def notes(chart, *values):
    """The rendered NOTES.txt. Helm renders it only for a real installation."""
    text = (chart / "templates/NOTES.txt").read_text()
    (chart / "templates/notes.yaml").write_text(
        '{{- define "notes" -}}\n' + text + '\n{{- end }}\nkind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n')
    return render(*values, chart=chart, namespace="games").one("Notes", "notes")["text"]


@pytest.mark.parametrize("values, said, unsaid", [
    ((), ["kubectl --namespace games port-forward service/dice-frontend 8400", "helm --namespace games test dice"], ["canary"]),
    (("frontend.externalService.enabled=true",), ["kubectl --namespace games get service dice-frontend-external"], ["port-forward"]),
    (("canary.enabled=true",), ["kubectl --namespace games logs --follow deployment/dice-canary"], []),
    (("tests.enabled=false",), ["port-forward"], ["helm"]),
    (("ingress.enabled=true", "ingress.tls[0].secretName=x"), ["https://dice.local/"], ["port-forward"]),
])
def test_notes_say_what_to_type_next(chart, values, said, unsaid):
    text = notes(chart, *values)
    assert all(part in text for part in said) and not any(part in text for part in unsaid), text

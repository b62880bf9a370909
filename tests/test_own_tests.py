"""The template's own tree passes its own tests, unrendered, with every option on."""

from tests.template import ROOT, run


def test_its_own_tests_pass() -> None:
    run("make", "own-tests", cwd=ROOT)

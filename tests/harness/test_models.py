"""Which LM is used, and at which temperature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_lmprog.errors import ConfigurationError
from pytest_lmprog.harness.hooks import Hooks
from pytest_lmprog.harness.models import Models, at_zero
from pytest_lmprog.harness.settings import HarnessSettings
from pytest_lmprog.lm.client import LM
from pytest_lmprog.programs.context import context
from tests.harness.world import Brain, make_lm

MESSAGES = ({"role": "user", "content": "hi"},)


def fake(name: str) -> Any:
    return make_lm(Brain(), name)


def models(
    *,
    cli: str | None = None,
    env: str | None = None,
    ini: str | None = None,
    hook: Any = lambda model: None,
) -> Models:
    settings = HarnessSettings.resolve(
        Path("/p"),
        cli={"model": cli},
        env={} if env is None else {"PYTEST_LMPROG_MODEL": env},
        ini={"lm_model": ini},
    )
    return Models(settings, Hooks(make_lm=hook))


def chosen(found: Models, mark: Any = None, fixture: Any = None) -> str:
    return found.choose(mark, fixture).model


def test_the_order_of_precedence() -> None:
    def hook(model: str | None) -> Any:
        return fake("hook/m") if model in (None, "env/m", "ini/m") else None

    def fixture() -> Any:
        return fake("fixture/m")

    with context(lm=fake("configured/m")):
        assert chosen(models(cli="cli/m", hook=hook), fake("mark/m"), fixture) == "mark/m"
        assert chosen(models(cli="cli/m", hook=hook), "mark/name", fixture) == "mark/name"
        assert chosen(models(cli="cli/m", hook=hook), None, fixture) == "cli/m"
        assert chosen(models(env="env/m", hook=hook), None, fixture) == "fixture/m"
        assert chosen(models(env="env/m", hook=hook)) == "hook/m"
        assert chosen(models(env="env/m", ini="ini/m")) == "env/m"
        assert chosen(models(ini="ini/m")) == "ini/m"
        assert chosen(models()) == "configured/m"


def test_none_at_all_gives_a_line_to_copy() -> None:
    with pytest.raises(ConfigurationError) as caught:
        models().choose()
    assert "pytest --lm-model=" in str(caught.value.hint)


def test_a_hook_may_make_the_model_that_is_asked_for() -> None:
    made: list[str | None] = []

    def hook(model: str | None) -> Any:
        made.append(model)
        return fake("cli/m")

    found = models(cli="cli/m", hook=hook)
    assert chosen(found) == "cli/m"
    assert not isinstance(found.default(), LM)
    assert made == ["cli/m"]


def test_a_hook_that_makes_another_model_does_not_override_the_command_line() -> None:
    found = models(cli="cli/m", hook=lambda model: fake("hook/m"))
    assert chosen(found) == "cli/m"
    assert isinstance(found.default(), LM)


def test_a_model_is_made_once() -> None:
    found = models(cli="cli/m")
    assert found.choose() is found.choose("cli/m") is found.default()


@pytest.mark.parametrize("given", [3, object()])
def test_what_is_no_lm_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="the fixture lm must be an LM or a model's name"):
        models().choose(None, lambda: given)


@pytest.mark.parametrize("make", [LM, fake])
def test_the_temperature_is_0_unless_set(make: Any) -> None:
    lm = at_zero(make("some/m"))
    assert lm.request(MESSAGES).params["temperature"] == 0
    assert lm.request(MESSAGES, temperature=0.7).params["temperature"] == 0.7
    assert lm.model == "some/m"


def test_a_temperature_that_is_set_stays() -> None:
    lm = LM("some/m", temperature=0.5)
    assert at_zero(lm) is lm


def test_keys_are_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "sk-from-the-environment")
    found = models()
    found.choose(LM("some/m", api_key="sk-of-this-lm-1234"))
    text = found.scrub("refused: sk-of-this-lm-1234 and sk-from-the-environment")
    assert text == "refused: [secret] and [secret]"

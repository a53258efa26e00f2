"""docs/scaling.md and the README's figures are those of the model and the simulation."""

import os
import re
from pathlib import Path

import pytest

import costs
from costs import scenarios
from costs.__main__ import main
from costs.inputs import Inputs
from costs.page import render
from costs.scenarios import Told
from costs.simulation import told

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
# Larger ones take minutes together: `make soak` has them.
QUICK = 10**9 if os.environ.get("SOAK") else 5_000
SAVED = scenarios.saved()


def test_the_page_is_fresh():
    assert (ROOT / "docs/scaling.md").read_text() == render(), "run `make scaling`"


def test_what_was_simulated_is_what_the_page_tells_of():
    assert [each.scenario for each in SAVED] == list(scenarios.every())
    assert sum(each.simulated.questions <= 5_000 for each in SAVED) >= 2


@pytest.mark.parametrize(
    "saved",
    [each for each in SAVED if each.simulated.questions <= QUICK],
    ids=lambda each: f"{each.scenario.inputs.organizations}x{each.scenario.inputs.apis}",
)
def test_simulating_again_gives_the_same(saved: Told):
    assert told(saved.scenario) == saved


def test_an_outcome_can_be_kept(tmp_path: Path):
    inputs = Inputs(apis=2, environments=1, tables=("latency",), runs_a_day=2)
    found = told(scenarios.Scenario("small", inputs))
    scenarios.save([found], tmp_path / "simulated.json")
    assert scenarios.saved(tmp_path / "simulated.json") == [found]
    assert found.keeps_up


def test_the_readme_tells_what_the_model_does():
    bill = costs.estimate(Inputs(), None, costs.load())
    (whole, after_free) = re.search(
        r"about \*\*(\d+) US dollars\s+a month\*\*.*?about (\d+) where", README, re.DOTALL
    ).groups()
    assert (int(whole), int(after_free)) == (round(bill.usd), round(bill.usd_after_free))
    (hundred,) = re.search(r"A hundred APIs\s+cost (\d+)", README).groups()
    assert int(hundred) == round(costs.estimate(Inputs(apis=100), None, costs.load()).usd)
    (more,) = re.search(r"a further organisation adds\s+(?:about )?(\d+)", README).groups()
    two = costs.estimate(Inputs(organizations=2), None, costs.load())
    assert int(more) == round(two.usd - bill.usd)


def test_the_command_simulates(capsys: pytest.CaptureFixture[str]):
    size = ["--apis", "3,4", "--organizations", "1", "--environments", "1"]
    assert main(["simulate", *size, "--seconds-a-request", "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| 1 | 3 | ")
    assert main(["simulate", "--apis", "-3", "--organizations", "1"]) == 2
    assert "apis is -3" in capsys.readouterr().err

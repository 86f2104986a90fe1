"""The frame of the `supervisor` command: help without weight, one line per mistake, exit codes, questions, output."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet_chassis.home import FleetHome
from fleet_cli import app, asking, commands, exits, status, up
from fleet_cli.asking import Why, confirm, confirm_typed
from fleet_cli.exits import CliError, Exit
from fleet_cli.output import Column, Show, age, show_rows

COLUMNS = (Column("bot"), Column("pnl", right=True), Column("half", lambda row: row["pnl"] / 2))
ROWS = [{"bot": "qe1", "pnl": 4}, {"bot": "[red]qe2[/]", "pnl": -2}]


def run_command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet_cli", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['supervisor', '--help']; from fleet_cli.__main__ import main; main(); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    heavy = {"httpx", "rich", "pydantic", "pydantic_settings", "cyclopts", "nats", "yaml", "asyncio"}
    assert not heavy & set(done.stderr.split())
    assert "Usage: supervisor COMMAND" in done.stdout


def test_help_names_every_command_and_every_exit_code() -> None:
    text = commands.overview()
    for command in commands.COMMANDS:
        assert f"  {command.words} " in text
    for code in Exit:
        assert f"  {code.value} " in text
        assert exits.MEANING[code] in text


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.words)
def test_every_command_has_help_of_its_own(command: commands.Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*command.words.split(), "--help"]) == 0
    assert f"Usage: supervisor {command.words}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["upp"], "there is no command 'upp'; supervisor --help lists them. Did you mean up?"),
        (["status", "--jso"], "Unknown option: --jso. Did you mean --json?"),
        (["status", "-o", "xml"], 'Invalid value "xml"'),
        (["logs"], "PART requires an argument"),
        (["tokens", "rotate"], "See: supervisor tokens rotate --help"),
        (["limits", "shwo"], "See: supervisor limits --help"),
        (["up", "--timeout", "-1"], "--timeout: more than 0 seconds"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(words) == 2
    seen = capsys.readouterr()
    assert told in seen.err
    assert len(seen.err.splitlines()) == 1
    assert not seen.out


def test_a_misspelt_variable_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEET_PORTBASE", "20000")
    assert app.run(["status"]) == 2
    assert "unknown environment variable FLEET_PORTBASE; did you mean FLEET_PORT_BASE?" in capsys.readouterr().err


def test_a_port_that_is_no_number_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEET_PORT_BASE", "many")
    assert app.run(["status"]) == 2
    assert "FLEET_" in capsys.readouterr().err


def test_a_folder_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FLEET_HOME", __file__)
    assert app.run(["status"]) == Exit.FAILURE
    seen = capsys.readouterr().err
    assert seen.startswith(f"supervisor: cannot use {__file__}/")
    assert len(seen.splitlines()) == 1


@pytest.mark.parametrize(("words", "told"), [((), "interrupted"), (("the fleet goes on",), "the fleet goes on")])
def test_ctrl_c_is_one_line_that_says_what_goes_on(
    words: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt(*words)

    monkeypatch.setattr(status, "fleet_settings", interrupt)
    assert app.run(["status"]) == Exit.INTERRUPTED
    assert capsys.readouterr().err == f"supervisor: {told}\n"


def test_ctrl_c_while_waiting_for_the_fleet_says_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(up, "wait_ready", interrupt)
    with pytest.raises(KeyboardInterrupt, match="the fleet goes on starting"):
        up._wait(FleetHome(tmp_path), 1.0)


def test_a_backup_in_a_folder_that_is_not_there_is_said_without_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home" / "secrets").mkdir(parents=True)
    (tmp_path / "home" / "secrets" / "some").write_text("some")
    monkeypatch.setenv("FLEET_HOME", str(tmp_path / "home"))
    assert app.run(["backup", str(tmp_path / "nowhere" / "b.tar.gz")]) == Exit.FAILURE
    seen = capsys.readouterr().err
    assert "No such file or directory (" in seen
    assert "Errno" not in seen


def test_the_shim_at_the_root_is_the_same_command() -> None:
    shim = Path(__file__).parents[2] / "supervisor.py"
    done = subprocess.run([sys.executable, str(shim), "--help"], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout == commands.overview()


def test_without_a_terminal_and_without_yes_nothing_happens() -> None:
    with pytest.raises(CliError) as refused:
        confirm("sure?", Why(reason="a test"))
    assert refused.value.code is Exit.USAGE
    confirm("sure?", Why(reason="a test", yes=True))


def type_at_terminal(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(asking, "_interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.parametrize("answer", ["\n", "n\n", "maybe\n", ""])
def test_any_answer_but_yes_is_no(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    type_at_terminal(monkeypatch, answer)
    with pytest.raises(CliError, match="not done"):
        confirm("sure?", Why(reason="a test"))


def test_a_typed_yes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    type_at_terminal(monkeypatch, "Y\n")
    confirm("sure?", Why(reason="a test"))


def test_a_phrase_must_be_typed_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    confirm_typed("resume?", "resume main", "resume main")
    with pytest.raises(CliError, match="another one"):
        confirm_typed("resume?", "resume main", "resume")
    with pytest.raises(CliError, match="nobody is there"):
        confirm_typed("resume?", "resume main", None)
    type_at_terminal(monkeypatch, "resume main\n")
    confirm_typed("resume?", "resume main", None)


def printed(show: Show, capsys: pytest.CaptureFixture[str]) -> str:
    show_rows(show, ROWS, COLUMNS, {"items": ROWS})
    return capsys.readouterr().out


def test_a_table_has_a_line_per_row_and_takes_no_markup_from_data(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in printed(Show(), capsys).splitlines()]
    assert lines == [["bot", "pnl", "half"], ["qe1", "4", "2.0"], ["[red]qe2[/]", "-2", "-1.0"]]


def test_a_table_wider_than_the_terminal_keeps_every_name_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    show_rows(Show(), [{"bot": "x" * 70, "pnl": 10**20}], COLUMNS, {})
    assert any("x" * 70 in line and str(10**20) in line for line in capsys.readouterr().out.splitlines())


def test_a_table_in_a_file_is_never_cut_or_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(Show(), [{"bot": "x" * 500, "pnl": 1}], COLUMNS, {})
    out = capsys.readouterr().out
    assert "x" * 500 in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("show", "read"),
    [(Show(json=True), json.loads), (Show(output="json"), json.loads), (Show(output="yaml"), yaml.safe_load)],
)
def test_documents_say_their_schema_version(show: Show, read: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(printed(show, capsys)) == {"schema_version": 1, "items": ROWS}


def test_json_lines_are_one_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert [json.loads(line) for line in printed(Show(output="jsonl"), capsys).splitlines()] == ROWS


def test_ages_read_as_people_say_them() -> None:
    assert [age(seconds) for seconds in (None, 0.44, 12, 119, 300, 7300, 200000)] == [
        "",
        "0.4 s",
        "12 s",
        "119 s",
        "5 min",
        "2 h",
        "2 d",
    ]


def test_the_module_is_the_command() -> None:
    done = run_command("nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("supervisor: there is no command 'nonsense'")

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_lmprog import __version__
from pytest_lmprog.cli import main
from pytest_lmprog.cli.project import find_project
from pytest_lmprog.errors import ConfigurationError

COMMANDS = ["show", "diff", "pending", "accept", "reject", "review", "cache"]


@pytest.mark.parametrize("args", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help(args, capsys):
    assert main(args) == 0
    assert "usage: lmprog" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("args", [[], ["nonsense"], ["show"], ["cache"], ["-C", "/no/such/place", "pending"]])
def test_misuse_is_exit_code_2(args, capsys):
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out + captured.err
    assert "Traceback" not in captured.err


def test_without_a_command_there_is_help(capsys):
    main([])
    assert "commands" in capsys.readouterr().out


def test_a_closed_pipe_is_no_traceback(place):
    place.accepted()
    script = "import sys; from pytest_lmprog.cli import main; sys.exit(main())"
    command = f"{sys.executable} -c '{script}' show TestTriage | true"
    done = subprocess.run(command, shell=True, cwd=place.root, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_help_and_pending_import_nothing_heavy(place):
    code = (
        "import sys\nfrom pytest_lmprog.cli import main\n"
        "main(['pending'])\n"
        "heavy = {'litellm', 'pydantic', 'asyncio', 'coverage', 'diskcache', 'pytest'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


INIS = {
    "pytest.ini": "[pytest]\nlm_cache_dir = here\n",
    ".pytest.ini": "[pytest]\nlm_cache_dir = here\n",
    "tox.ini": "[pytest]\nlm_cache_dir = here\n",
    "setup.cfg": "[tool:pytest]\nlm_cache_dir = here\n",
    "pyproject.toml": "[tool.pytest.ini_options]\nlm_cache_dir = 'here'\n",
}


@pytest.mark.parametrize("name", sorted(INIS))
def test_the_ini_file_is_that_of_pytest(pytester, monkeypatch, name):
    monkeypatch.delenv("PYTEST_LMPROG_CACHE_DIR", raising=False)
    pytester.path.joinpath(name).write_text(INIS[name], encoding="utf-8")
    inner = pytester.mkdir("inner")
    project = find_project(inner)
    config = pytester.parseconfig(str(inner))
    assert (project.root, project.inifile) == (config.rootpath, config.inipath)
    assert project.settings.cache_dir == project.root / "here"


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "tox.ini", "setup.cfg", "pytest.ini"])
def test_without_a_section_the_rootdir_is_that_of_pytest(pytester, monkeypatch, name):
    pytester.path.joinpath(name).write_text("", encoding="utf-8")
    inner = pytester.mkdir("inner")
    monkeypatch.chdir(inner)
    config = pytester.parseconfig(str(inner))
    assert find_project(inner).root == config.rootpath


def test_addopts_and_environment_count(tmp_path, monkeypatch):
    ini = tmp_path / "pytest.ini"
    ini.write_text("[pytest]\naddopts = -q --lm-cache-dir 'a b'\nlm_cache_dir = c\n", encoding="utf-8")
    assert find_project(tmp_path).settings.cache_dir == tmp_path / "a b"
    monkeypatch.setenv("PYTEST_ADDOPTS", "--lm-cache-dir=d")
    assert find_project(tmp_path).settings.cache_dir == tmp_path / "d"
    ini.write_text("[pytest]\nlm_cache_dir = c\n", encoding="utf-8")
    monkeypatch.delenv("PYTEST_ADDOPTS")
    monkeypatch.setenv("PYTEST_LMPROG_CACHE_DIR", "e")
    assert find_project(tmp_path).settings.cache_dir == tmp_path / "e"


@pytest.mark.parametrize(("name", "text"), [("pytest.ini", "x = 1\n[pytest"), ("pyproject.toml", "[tool")])
def test_a_broken_ini_file_is_one_error(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=name):
        find_project(tmp_path)


def test_a_bad_setting_is_one_error(place):
    (place.root / "pytest.ini").write_text("[pytest]\nlm_seed = x\n", encoding="utf-8")
    code, _, err = place.run("pending")
    assert code == 2
    assert "lm_seed" in err


@pytest.mark.skipif(os.name == "nt", reason="shells")
def test_the_console_script(place):
    place.both()
    done = subprocess.run(
        [sys.executable, "-c", "from pytest_lmprog.cli import main; raise SystemExit(main())", "pending"],
        cwd=place.root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert "1 pending" in done.stdout

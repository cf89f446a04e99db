from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_lmprog.errors import SnapshotError
from pytest_lmprog.snapshots import store
from pytest_lmprog.snapshots.artifact import PredictorSnapshot
from pytest_lmprog.snapshots.text import to_text
from tests.snapshots.strategies import triage

OLD = triage()
NEW = triage(predictors={"classify": PredictorSnapshot("Be brief.", ())})


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    path = tmp_path / "__lm_snapshots__" / "test_support" / "TestTriage.yaml"
    assert store.write_accepted(path, OLD)
    return path


def folder_of(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.parent.iterdir()}


def test_paths(accepted):
    pending = store.pending_path(accepted)
    assert pending.name == "TestTriage.new.yaml"
    assert store.accepted_path(pending) == accepted
    assert store.is_pending(pending)
    assert not store.is_pending(accepted)


def test_what_was_written_is_read(accepted):
    assert store.read(accepted) == OLD
    assert accepted.read_bytes() == to_text(OLD).encode()


def test_nothing_is_left_beside_it(accepted):
    assert list(folder_of(accepted)) == ["TestTriage.yaml"]


def test_equal_bytes_are_not_written_again(accepted):
    os.utime(accepted, ns=(1, 1))
    assert not store.write_accepted(accepted, OLD)
    assert accepted.stat().st_mtime_ns == 1


def test_accept_replaces_the_accepted_and_removes_the_pending(accepted):
    pending = store.write_pending(accepted, NEW)
    assert store.read(accepted) == OLD
    assert store.read(pending).base
    assert store.accept(pending) == store.Accepted(accepted, changed=True)
    assert folder_of(accepted) == {"TestTriage.yaml": to_text(NEW).encode()}


def test_accept_where_none_was_accepted(tmp_path):
    pending = store.write_pending(tmp_path / "a.yaml", NEW)
    store.accept(pending)
    assert store.read(tmp_path / "a.yaml") == NEW


@pytest.mark.parametrize("words", ["has changed", "is gone"])
def test_accept_refuses_where_the_accepted_file_is_another(accepted, words):
    pending = store.write_pending(accepted, NEW)
    if words == "is gone":
        accepted.unlink()
    else:
        accepted.write_text(accepted.read_text() + "# edited\n", encoding="utf-8")
    before = folder_of(accepted)
    with pytest.raises(SnapshotError, match=words):
        store.accept(pending)
    assert folder_of(accepted) == before


def test_accept_refuses_where_an_accepted_file_appeared(tmp_path):
    pending = store.write_pending(tmp_path / "a.yaml", NEW)
    store.write_accepted(tmp_path / "a.yaml", OLD)
    with pytest.raises(SnapshotError, match="has appeared"):
        store.accept(pending)


def test_accept_does_not_mind_other_line_ends(accepted):
    pending = store.write_pending(accepted, NEW)
    accepted.write_bytes(accepted.read_bytes().replace(b"\n", b"\r\n"))
    assert store.read(accepted) == OLD
    store.accept(pending)
    assert store.read(accepted) == NEW


def test_accept_finishes_what_was_interrupted_before_the_pending_file_was_removed(accepted, monkeypatch):
    pending = store.write_pending(accepted, NEW)
    monkeypatch.setattr(store, "_remove", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.accept(pending)
    monkeypatch.undo()
    assert store.accept(pending) == store.Accepted(accepted, changed=False)
    assert folder_of(accepted) == {"TestTriage.yaml": to_text(NEW).encode()}


@pytest.mark.parametrize("step", ["replace", "fsync", "open"])
def test_a_death_while_writing_leaves_the_accepted_file(accepted, monkeypatch, step):
    pending = store.write_pending(accepted, NEW)
    before = folder_of(accepted)

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    if step == "open":
        monkeypatch.setattr("builtins.open", die)
    else:
        monkeypatch.setattr(os, step, die)
    with pytest.raises(KeyboardInterrupt):
        store.accept(pending)
    monkeypatch.undo()
    assert folder_of(accepted) == before


def test_what_a_killed_writer_left_is_not_taken_for_a_snapshot(accepted):
    accepted.with_name(".TestTriage.new.yaml.123-4.tmp").write_text("half", encoding="utf-8")
    assert store.find_pending(accepted.parent) == []


def test_accept_refuses_a_damaged_pending_file(accepted):
    pending = store.write_pending(accepted, NEW)
    pending.write_text(pending.read_text().replace("format: 1", "format: x"), encoding="utf-8")
    before = folder_of(accepted)
    with pytest.raises(SnapshotError, match="format"):
        store.accept(pending)
    assert folder_of(accepted) == before


def test_accept_refuses_a_pending_file_without_a_base(accepted):
    pending = store.pending_path(accepted)
    pending.write_text(to_text(NEW), encoding="utf-8")
    with pytest.raises(SnapshotError, match="base"):
        store.accept(pending)
    assert store.read(accepted) == OLD


def test_reject_removes_the_pending_only(accepted):
    pending = store.write_pending(accepted, NEW)
    store.reject(pending)
    assert folder_of(accepted) == {"TestTriage.yaml": to_text(OLD).encode()}
    with pytest.raises(SnapshotError, match="not a pending"):
        store.reject(accepted)
    assert accepted.exists()


def test_pending_files_are_found_sorted_outside_hidden_and_foreign_folders(tmp_path):
    for folder in ("b", "a", ".git", ".tox/x", "node_modules/x", "lib/site-packages", "myenv"):
        store.write_pending(tmp_path / folder / "T.yaml", NEW)
    (tmp_path / "myenv" / "pyvenv.cfg").touch()
    found = store.find_pending(tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in found] == ["a/T.new.yaml", "b/T.new.yaml"]
    assert store.find_pending(found[0]) == [found[0]]


def test_missing_undecodable_and_folder_are_snapshot_errors(tmp_path):
    with pytest.raises(SnapshotError, match="no such file"):
        store.read(tmp_path / "a.yaml")
    assert store.read_if_any(tmp_path / "a.yaml") is None
    (tmp_path / "b.yaml").write_bytes(b"format: 1\n\xff")
    with pytest.raises(SnapshotError, match=r"b\.yaml:2: not UTF-8"):
        store.read(tmp_path / "b.yaml")
    with pytest.raises(SnapshotError, match="cannot be read"):
        store.read(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_error(accepted):
    accepted.parent.chmod(0o555)
    try:
        with pytest.raises(SnapshotError, match="cannot be written"):
            store.write_pending(accepted, NEW)
    finally:
        accepted.parent.chmod(0o755)


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SnapshotError, match="cannot be written"):
        store.write_accepted(tmp_path / "file" / "a.yaml", OLD)


@pytest.mark.skipif(os.name == "nt", reason="modes")
def test_the_mode_of_the_file_stays(accepted):
    accepted.chmod(0o640)
    store.write_accepted(accepted, NEW)
    assert stat.S_IMODE(accepted.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_stays_a_link(accepted, tmp_path):
    link = tmp_path / "link.yaml"
    link.symlink_to(accepted)
    store.write_accepted(link, NEW)
    assert link.is_symlink()
    assert store.read(accepted) == NEW


def test_the_base_is_never_in_an_accepted_file(accepted):
    store.write_accepted(accepted, replace(NEW, base="0123"))
    assert store.read(accepted).base is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TestTriage", "TestTriage"),
        ("TestTriage.test_x", "TestTriage.test_x"),
        ("a/b:c", "a-b-c"),
        ("con", "_con"),
        ("COM1.x", "_COM1.x"),
        ("trailing. ", "trailing"),
        ("", "_"),
        (".hidden", "_.hidden"),
        ("Ünit@gpt-4o", "Ünit@gpt-4o"),
    ],
)
def test_unit_filenames(name, expected):
    assert store.unit_filename(name) == expected


@given(st.text())
def test_a_unit_filename_is_one_safe_part(name):
    made = store.unit_filename(name)
    assert made
    assert not set(made) & set('<>:"/\\|?*\0\n')
    assert made not in (".", "..")
    assert made[-1] not in ". "
    assert store.unit_filename(made) == made

"""A run's folder: one owner, one process."""

import subprocess
import sys
import threading

import pytest

from attnzoo.errors import AttnzooError
from attnzoo.training.folder import begin, identity, is_finished, locked, read_run

HOLD = """
import sys, time
from pathlib import Path
from attnzoo.training.folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_locked_for_others_until_the_holder_dies(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(AttnzooError) as error, locked(tmp_path):
        pass
    assert error.value.message.startswith(f"`{tmp_path}` is in use by process {holder.pid} on ")
    assert error.value.hint == "wait until it has ended, or give another folder"
    holder.kill()
    holder.communicate()
    with locked(tmp_path):
        pass


def test_two_threads_do_not_share_a_folder(tmp_path):
    refused = []

    def enter() -> None:
        try:
            with locked(tmp_path):
                pass
        except AttnzooError as error:
            refused.append(error.message)

    with locked(tmp_path):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(refused) == 1
    enter()
    assert len(refused) == 1


def test_what_a_killed_run_left_half_written_is_swept_up(plain, data, tmp_path):
    (tmp_path / ".run.json.123.tmp").write_text("{")
    assert not is_finished(tmp_path, identity(plain, data))
    begin(tmp_path, identity(plain, data), plain, data, ())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.toml", "run.json"]
    recipe, classes = read_run(tmp_path)
    assert (recipe.decides(), classes) == (plain.decides(), data.classes)


def test_the_first_file_is_the_one_that_says_whose_the_folder_is(plain, data, tmp_path, monkeypatch):
    monkeypatch.setattr("attnzoo.training.folder.write_text", lambda *_: pytest.fail("killed here"))
    with pytest.raises(pytest.fail.Exception):
        begin(tmp_path, identity(plain, data), plain, data, ())
    assert not is_finished(tmp_path, identity(plain, data))


def test_a_new_folder_is_not_finished(plain, data, tmp_path):
    assert not is_finished(tmp_path / "new", identity(plain, data))
    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(AttnzooError) as error:
        read_run(tmp_path)
    assert error.value.message == f"`{tmp_path}` holds no run"
    assert error.value.hint == "give the folder that `attnzoo train` wrote"


def test_a_run_of_another_schema_is_told(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": 99}')
    with pytest.raises(AttnzooError) as error:
        read_run(tmp_path)
    assert error.value.message == f"`{tmp_path / 'run.json'}` is not of schema 1"


def test_a_recipe_changed_after_the_run_is_told(plain, data, tmp_path):
    begin(tmp_path, identity(plain, data), plain, data, ())
    (tmp_path / "recipe.toml").write_text(plain.override({"training.seed": 5}).to_toml())
    with pytest.raises(AttnzooError) as error:
        read_run(tmp_path)
    assert error.value.message == f"`{tmp_path / 'recipe.toml'}` was changed after the run"
    (tmp_path / "recipe.toml").unlink()
    with pytest.raises(AttnzooError) as error:
        read_run(tmp_path)
    assert error.value.message == f"`{tmp_path / 'recipe.toml'}` is missing"


def test_batch_norm_makes_the_number_of_processes_part_of_a_run(plain, data):
    assert identity(plain, data, devices=2) != identity(plain, data)

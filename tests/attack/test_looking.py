"""Looking at a folder runs nothing of it: no git hook, filter, helper or monitor, and no variable that loads code."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.world import free_port
from tests.support import REPOSITORY, ProjectDir, empty_project

SAFETY = '[project]\nname = "clone"\n[safety]\nregions = ["eu-west-1"]\n'
LOOKS = [("doctor",), ("status",), ("config", "show"), ("init",), ("snapshot", "list"), ("up", "--dry-run")]


def git(folder: Path, *words: str) -> str:
    """Git as an attacker uses it to build what is then cloned."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    ran = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout


def evil_script(folder: Path, canary: Path) -> Path:
    script = folder / "evil.sh"
    script.write_text(f"#!/bin/sh\necho $0 >> {canary}\nexit 1\n")
    script.chmod(0o755)
    return script


def bare_repository(sub: Path, canary: Path) -> None:
    """A bare repository in `sub` itself: partial clone, one tree object missing, a sparse index, an `ext::` remote."""
    evil_script(sub, canary)
    (sub / "devenv.toml").write_text(SAFETY)
    work = sub.parent / "work"
    (work / "in" / "side").mkdir(parents=True)
    (work / "in" / "side" / "file").write_text("x")
    (work / "top").write_text("x")
    git(work, "init", "--quiet")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "--message", "a")
    git(work, "sparse-checkout", "init", "--cone", "--sparse-index")
    git(work, "sparse-checkout", "set", "other")
    tree = git(work, "rev-parse", "HEAD:in").strip()
    (work / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    for name in ("HEAD", "objects", "refs", "index"):
        found = work / ".git" / name
        (shutil.copytree if found.is_dir() else shutil.copy)(found, sub / name)
    (sub / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n\tbare = false\n\tworktree = .\n\tsparseCheckout = true\n"
        "\tsparseCheckoutCone = true\n[index]\n\tsparse = true\n[extensions]\n\tpartialClone = evil\n"
        '[remote "evil"]\n\turl = "ext::sh ./evil.sh %S"\n\tpromisor = true\n[protocol "ext"]\n\tallow = always\n'
    )
    shutil.rmtree(work)


def inner_repository(sub: Path, canary: Path) -> None:
    """What an unpacked archive can hold: a `.git` with a monitor, hooks, filters, a pager, a proxy, an alias."""
    script = evil_script(sub, canary)
    (sub / "devenv.toml").write_text(SAFETY)
    (sub / "file").write_text("x")
    git(sub, "init", "--quiet")
    git(sub, "add", "file")
    git(sub, "commit", "--quiet", "--message", "a")
    (sub / ".gitattributes").write_text("* filter=evil diff=evil\n")
    for hook in ("post-index-change", "post-checkout", "reference-transaction", "pre-auto-gc"):
        shutil.copy(script, sub / ".git" / "hooks" / hook)
    with (sub / ".git" / "config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {script}\n\tpager = {script}\n\tsshCommand = {script}\n\tgitProxy = {script}\n"
            f'\thooksPath = {sub}/.git/hooks\n[filter "evil"]\n\tclean = {script}\n\tprocess = {script}\n'
            f'\trequired = true\n[diff "evil"]\n\ttextconv = {script}\n[alias]\n\tls-files = !{script}\n'
            f"[trace2]\n\teventTarget = {canary}\n\tnormalTarget = {canary}\n"
        )


@pytest.mark.needs_git
@pytest.mark.parametrize("build", [bare_repository, inner_repository])
@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_looking_runs_nothing_of_a_repository(tmp_path: Path, build: object, words: tuple[str, ...]) -> None:
    sub = tmp_path / "clone" / "sub"
    sub.mkdir(parents=True)
    canary = tmp_path / "canary"
    build(sub, canary)  # type: ignore[operator]
    ran = ProjectDir(sub).devenv(*words)
    assert "devenv itself failed" not in ran.all
    assert not canary.exists(), (words, canary.read_text())


@pytest.mark.needs_git
def test_the_canary_would_sing(tmp_path: Path) -> None:
    """Git itself, asked as devenv once asked it, runs the folder's program: a proof that the test above can fail."""
    sub = tmp_path / "clone" / "sub"
    sub.mkdir(parents=True)
    canary = tmp_path / "canary"
    bare_repository(sub, canary)
    command = ["git", "-c", "core.fsmonitor=false", "-c", "safe.bareRepository=all", "ls-files", "-z", "--cached", "."]
    subprocess.run(command, cwd=sub, capture_output=True, check=False)
    assert canary.exists()


LOADERS = [
    "PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "BASH_ENV", "ENV", "PROMPT_COMMAND",
    "PS1", "PS4", "IFS", "SHELL", "SHELLOPTS", "BASHOPTS", "ZDOTDIR", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME",
    "PYTHONBREAKPOINT", "PYTHONINSPECT", "PYTHONWARNINGS", "NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "PERL5OPT", "PERL5LIB", "RUBYOPT", "RUBYLIB", "GIT_SSH_COMMAND",
    "GIT_CONFIG_COUNT", "GIT_EXTERNAL_DIFF", "EDITOR", "VISUAL", "PAGER", "LESSOPEN", "BROWSER", "GCONV_PATH",
    "PSQLRC", "PSQL_PAGER", "PGSERVICEFILE", "PGPASSFILE", "PGSYSCONFDIR", "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE", "HOME", "XDG_CONFIG_HOME", "CDPATH", "FPATH", "GLIBC_TUNABLES", "npm_config_prefix",
    "NPM_CONFIG_SCRIPT_SHELL", "DOTNET_STARTUP_HOOKS", "PHPRC", "LUA_INIT", "OPENSSL_CONF", "BUNDLE_GEMFILE",
    "DEVENV_CACHE", "DOCKER_HOST", "ld_preload", "Path", "PIP_INDEX_URL", "UV_INDEX_URL", "HTTPS_PROXY", "all_proxy",
    "MAKEFLAGS", "MAKEFILES", "TAR_OPTIONS", "RSYNC_RSH", "VIMINIT", "INPUTRC", "R_PROFILE", "PROMPT", "DEVENV_TRUST",
    "AWS_PAGER", "SYSTEMD_PAGER", "KUBE_EDITOR", "GH_BROWSER", "HISTFILE", "CC", "GTK_MODULES", "GIO_MODULE_DIR",
    "QT_PLUGIN_PATH", "COR_PROFILER", "JULIA_LOAD_PATH", "KRB5_CONFIG", "TF_CLI_CONFIG_FILE", "ANSIBLE_CONFIG",
]  # fmt: skip


@pytest.mark.parametrize("section", ["env", "backend"])
@pytest.mark.parametrize("name", LOADERS)
def test_no_variable_that_loads_code_is_taken_from_a_folder(tmp_path: Path, section: str, name: str) -> None:
    from devenv.core.errors import UsageError
    from tests.attack.places import load

    table = "[env]" if section == "env" else '[backend]\ncommand = ["true"]\n[backend.env]'
    project = empty_project(tmp_path / "p", f'[project]\nname = "p"\n{table}\n{name} = "./run"\n')
    with pytest.raises(UsageError) as caught:
        load(project.path)
    assert name in f"{caught.value.what} {caught.value.detail}"
    assert "./run" not in f"{caught.value.what} {caught.value.detail}"


def test_a_shell_that_takes_the_settings_runs_nothing(tmp_path: Path) -> None:
    """Row 16 as it was tried: eval "$(devenv env)"."""
    canary = tmp_path / "canary"
    folder = tmp_path / "p"
    folder.mkdir()
    evil = evil_script(folder, canary)
    for name in ("ls", "bash"):
        (folder / name).symlink_to(evil)
    project = empty_project(folder, f'[project]\nname = "p"\n[env]\nPATH = "{folder}"\nBASH_ENV = "{evil}"\n')
    line = " ".join(project.command("env"))
    script = f'eval "$({line} 2>/dev/null)"; ls / >/dev/null; bash -c true'
    subprocess.run(["/bin/bash", "-c", script], env=project.environment(), capture_output=True, check=False)
    assert not canary.exists()


@pytest.mark.parametrize("words", [("env", "--format", "dotenv"), ("run", "--", "env")], ids=" ".join)
def test_a_stopped_projects_settings_name_no_foreign_store(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A script that ignores the note finds nothing, where it would have written into a store that is not its own."""
    ports = {name: free_port() for name in ("postgres", "dynamodb")}
    tables = "".join(f"[{name}]\nport = {port}\n" for name, port in ports.items())
    project = empty_project(tmp_path / "p", f'[project]\nname = "p"\n{tables}')

    def addresses(text: str) -> set[int]:
        found = dict(line.split("=", 1) for line in text.replace("'", "").splitlines() if "=" in line)
        return {int(found["PGPORT"]), urlsplit(found["AWS_ENDPOINT_URL_DYNAMODB"]).port or 0}

    assert addresses(project.ok(*words).out) == set(ports.values())
    with ExitStack() as held:
        for port in ports.values():
            other = held.enter_context(socket.create_server(("127.0.0.1", port)))
            assert other.getsockname()[1] == port
        ran = project.ok(*words)
        assert not addresses(ran.out) & set(ports.values())
        for port in ports.values():
            assert f"port {port} is taken by" in ran.err
        assert not (project.path / ".devstate" / "state.json").exists(), "looking changes nothing"
    assert addresses(project.ok(*words).out) == set(ports.values())


@pytest.mark.parametrize("name", ["PYTHONUNBUFFERED", "NODE_ENV", "ENVIRONMENT", "APP_PATH", "STAGE", "LDAP_URL"])
def test_an_applications_own_variables_are_taken(tmp_path: Path, name: str) -> None:
    from tests.attack.places import load

    project = empty_project(tmp_path / "p", f'[project]\nname = "p"\n[env]\n{name} = "1"\n')
    assert load(project.path).settings.env == {name: "1"}


@pytest.mark.needs_git
def test_the_repositorys_own_files_are_listed_as_git_lists_them() -> None:
    """Without git: its index is read."""
    from tests.attack.places import tracked_files

    listed = tracked_files(REPOSITORY)
    assert listed is not None
    names = git(REPOSITORY, "ls-files", "--cached").splitlines()
    assert sorted(map(str, listed.files)) == sorted(names)

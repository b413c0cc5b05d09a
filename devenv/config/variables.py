"""Variables that a folder may not set, because they decide which program runs, or load code into one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from devenv.core.late import late

# Of the loader, of shells, of interpreters, of tools that run programs by their settings; and devenv's own.
REFUSED: Final = late(
    r"PATH|CDPATH|FPATH|MANPATH|INFOPATH|IFS|ENV|HOME|SHELL|SHELLOPTS|PS[0-4]|PROMPT_COMMAND|BASH\w*|ZDOTDIR|FISH_\w+"
    r"|LD_\w+|DYLD_\w+|GCONV_PATH|LOCPATH|NLSPATH|GLIBC_TUNABLES|MALLOC_\w+|HOSTALIASES|RES_OPTIONS|TERM|TERMCAP"
    r"|TERMINFO\w*|TMPDIR|TEMP|TMP|XDG_\w+"
    r"|PYTHON(?!UNBUFFERED$|DONTWRITEBYTECODE$|UTF8$|IOENCODING$|HASHSEED$|FAULTHANDLER$|DEVMODE$)\w*"
    r"|NODE_(?:OPTIONS|PATH|REPL_\w+|EXTRA_CA_CERTS)|NPM_CONFIG_\w+|YARN_\w+"
    r"|JAVA_(?:TOOL_OPTIONS|OPTS|HOME)|_JAVA_OPTIONS|JDK_\w*OPTIONS|CLASSPATH|MAVEN_\w+|GRADLE_\w+|JVM_OPTS"
    r"|PERL\w+|RUBY(?:OPT|LIB|SHELL)|GEM_(?:HOME|PATH)|BUNDLE_\w+|LUA_(?:INIT|PATH|CPATH)\w*|PHPRC|PHP_INI_SCAN_DIR"
    r"|DOTNET_\w+|CORECLR_\w+|COMPLUS_\w+|ERL_\w*FLAGS|GOFLAGS|CARGO_\w+|RUSTC\w*"
    r"|GIT_\w+|SSH_\w+|SUDO_\w+|EDITOR|VISUAL|PAGER|MANPAGER|LESS|LESSOPEN|LESSCLOSE|BROWSER"
    r"|OPENSSL_(?:CONF|ENGINES|MODULES)|SSL_CERT_(?:FILE|DIR)|CURL_\w+|REQUESTS_CA_BUNDLE|NETRC"
    r"|PSQL\w*|PGSERVICE|PGSERVICEFILE|PGPASSFILE|PGSYSCONFDIR|PGHOSTADDR"
    r"|AWS_(?:CONFIG_FILE|SHARED_CREDENTIALS_FILE|CA_BUNDLE|WEB_IDENTITY_TOKEN_FILE|CONTAINER_\w+)|BOTO_CONFIG"
    r"|PIP_\w+|UV_\w+|POETRY_\w+|PIPENV_\w+|CONDA_\w+|(?:HTTPS?|FTP|ALL)_PROXY"
    r"|MAKEFLAGS|MAKEFILES|GNUMAKEFLAGS|TAR_OPTIONS|RSYNC_RSH|CVS_RSH|VIMINIT|EXINIT|MYVIMRC|INPUTRC|WGETRC|LESSKEY\w*"
    r"|\w+_(?:PAGER|EDITOR|BROWSER|ASKPASS|PRELOAD|RSH)|SVN_SSH|FCEDIT|HISTFILE|CC|CXX|CPP|COR_\w+|JULIA_\w+"
    r"|(?:GTK|GIO|GST|QT|SASL)_(?:\w+_)?(?:PATH|DIR|MODULES\d?)|KRB5_CONFIG|ELECTRON_RUN_AS_NODE|TF_CLI_\w+|ANSIBLE_\w+"
    r"|(?:GUILE_LOAD|GUILE_LOAD_COMPILED|EMACSLOAD|TCLLIB)_?PATH|R_LIBS\w*|MIX_\w+|HEX_\w+|ELIXIR_\w+"
    r"|MAILCAPS|R_PROFILE\w*|R_ENVIRON\w*|DEBUGINFOD_URLS|PROMPT|RPROMPT|RPS1"
    r"|DEVENV_\w+|DOCKER_\w+|COMPOSE_\w+|BUILDKIT_\w+|KUBECONFIG",
    re.IGNORECASE,
)


def is_refused(name: str) -> bool:
    """Return True for a variable that a folder may not set."""
    return REFUSED.fullmatch(name) is not None


def refused(tables: Mapping[str, Mapping[str, str]]) -> str | None:
    """The first variable in these tables (`[env]` -> its variables) that is refused, with its table; or None."""
    return next((f"{name} in {where}" for where, table in tables.items() for name in table if is_refused(name)), None)

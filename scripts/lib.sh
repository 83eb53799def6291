# Shared by the scripts: the environment in .venv, made and brought up to date as needed. Sourced from the project's root.

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Whether we may install system packages without asking for a password; prints how.
as_root() {
  if [ "$(id -u)" = 0 ]; then echo ""; return 0; fi
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then echo "sudo"; return 0; fi
  return 1
}

# system_package NAME...: install Debian packages, or stop with the one command to type.
system_package() {
  local how
  if command -v apt-get >/dev/null && how=$(as_root); then
    say "Installing $* (system package)…"
    export DEBIAN_FRONTEND=noninteractive
    if ! $how apt-get install -y -qq "$@" >/dev/null 2>&1; then
      $how apt-get update -qq >/dev/null 2>&1 || true
      $how apt-get install -y -qq "$@" >/dev/null || fail "Could not install $*. Type: sudo apt-get install $*"
    fi
  else
    fail "Missing: $*. Type: sudo apt-get install $*   and run this again."
  fi
}

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  fail "Python 3.11 or newer is needed. Type: sudo apt-get install python3"
}

# environment [dev]: sets PYTHON to .venv's, with the pinned libraries installed.
environment() {
  local file=requirements.txt stamp wanted python
  [ "${1:-}" = dev ] && file=requirements-dev.txt
  PYTHON="$PWD/.venv/bin/python"
  if ! "$PYTHON" -c '' 2>/dev/null; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
      system_package "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    say "Making the environment in .venv…"
    rm -rf .venv
    "$python" -m venv .venv || fail "Could not make .venv with $python."
  fi
  wanted=$(cat requirements.txt $([ "$file" = requirements.txt ] || echo "$file") | cksum)
  stamp=".venv/.installed-${file%.txt}"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "Installing the pinned libraries ($file), once: about a minute…"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$file" || fail "The libraries could not be installed; the reason stands above."
    printf '%s' "$wanted" >"$stamp"
  fi
}

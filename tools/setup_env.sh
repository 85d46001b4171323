#!/usr/bin/env bash
# Set up the environment that the Makefile uses; a second call does nothing.
#
#   GSLORA_PYTHON  interpreter of an environment that has everything already:
#                  it is checked, nothing is built or installed
#   PYTHON         interpreter .venv is made from (3.10, 3.11 or 3.12)
#   TORCH_SPEC     another torch, e.g. 'torch==2.8.0 torchvision==0.23.0'
#   MAX_JOBS       parallel compilers (default: one per core)
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=.venv
LOGS=$VENV/logs
STAMP=$VENV/.ready
MMCV_FOR=$VENV/.mmcv-built-for
EVERY=${GSLORA_PROGRESS_SECONDS:-30}

say() { echo "[setup] $*"; }
fail() {
    echo "error: $*" >&2
    exit 1
}

# --- what is there ---------------------------------------------------------

# Prints nothing if the interpreter $1 can make .venv, else why it cannot.
why_unfit() {
    "$1" - <<'PY' 2>/dev/null || echo "does not start"
import os, sys, sysconfig
v = '%d.%d' % sys.version_info[:2]
if not (3, 10) <= sys.version_info[:2] <= (3, 12):
    print('is Python %s; 3.10, 3.11 or 3.12 is needed: install one and '
          'set PYTHON=/path/to/it' % v)
    sys.exit()
try:
    import ensurepip, venv
except ImportError:
    print('has no venv module: apt-get install python%s-venv' % v)
    sys.exit()
header = os.path.join(sysconfig.get_paths()['include'], 'Python.h')
if not os.path.exists(header):
    print('has no Python.h: apt-get install python%s-dev' % v)
PY
}

# The base interpreter: PYTHON, or the first on the PATH that will do.
find_python() {
    local candidate reason first=
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.10}; do
        command -v "$candidate" >/dev/null || continue
        reason=$(why_unfit "$candidate")
        [ -z "$reason" ] && { echo "$candidate" && return; }
        : "${first:=$candidate $reason}"
    done
    [ -z "$first" ] || fail "$first"
    fail "found no ${PYTHON:-python3}: apt-get install python3" \
        "python3-venv python3-dev, or set PYTHON=/path/to/python3.11"
}

check_compiler() {
    local cxx=${CXX:-c++}
    command -v "${cxx%% *}" >/dev/null ||
        fail "no C++ compiler ($cxx): apt-get install g++"
    # shellcheck disable=SC2086
    echo '#include <optional>' | $cxx -std=c++17 -x c++ -fsyntax-only - \
        2>/dev/null ||
        fail "$cxx cannot compile C++17: apt-get install g++ (9 or newer)"
}

check_disk() {
    local free
    [ -z "${TORCH_SPEC:-}" ] || return 0
    ! ls -d $VENV/lib/*/site-packages/torch >/dev/null 2>&1 || return 0
    free=$(df -Pk . | awk 'NR == 2 {print int($4 / 1048576)}')
    [ "$free" -ge 8 ] || fail "only $free GB free here, the environment" \
        "takes about 6 GB: free some, or use GSLORA_PYTHON or TORCH_SPEC"
}

# What the environment depends on; it is remade when this changes.
fingerprint() {
    { cat requirements/*.txt setup.py && echo "$1 ${TORCH_SPEC:-}"; } | cksum
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

is_ready() { # VERSION
    [ -x $VENV/bin/python ] && [ -e gslora_mm/.mim/configs ] &&
        [ "$(cat $STAMP 2>/dev/null)" = "$(fingerprint "$1")" ]
}

# --- steps -----------------------------------------------------------------

TICKER=
stop_ticker() {
    [ -z "$TICKER" ] || kill "$TICKER" 2>/dev/null || true
    TICKER=
}
trap stop_ticker EXIT

# A line every EVERY seconds: how long, and compiled objects or last output.
tick() {
    local waited=0 done_
    while true; do
        for _ in $(seq "$EVERY"); do sleep 1; done >/dev/null 2>&1
        kill -0 $$ 2>/dev/null || exit 0
        waited=$((waited + EVERY))
        done_=$(grep -oE '^ *\[[0-9]+/[0-9]+\]' "$1" |
            tail -n 1 | tr -d ' []' || true)
        if [ -n "$done_" ]; then
            say "  $waited s, compiled ${done_%/*} of ${done_#*/} files"
        else
            say "  $waited s, $(tail -n 1 "$1" | tr '\r' '\n' | tail -n 1 |
                sed 's/^ *//' | cut -c 1-60)"
        fi
    done
}

# logged NAME COMMAND...: run it with its output in a log.
logged() {
    local log=$LOGS/$1.log status=0
    shift
    echo "\$ $*" >"$log"
    tick "$log" 9>&- &
    TICKER=$!
    PYTHONUNBUFFERED=1 "$@" >>"$log" 2>&1 </dev/null || status=$?
    stop_ticker
    [ "$status" -eq 0 ] && return
    tail -n 15 "$log" >&2
    fail "this step failed; whole log: $log (the next call goes on here)"
}

pip_install() { # pip_install LOG ARGUMENTS...
    local log=$1
    shift
    logged "$log" "$VENV/bin/python" -m pip install \
        --disable-pip-version-check --no-input --progress-bar off "$@"
}

venv_works() { $VENV/bin/python -m pip --version >/dev/null 2>&1; }

make_venv() { # BASE VERSION
    local base=$1
    if venv_works && [ "$(version_of $VENV/bin/python)" = "$2" ]; then
        say "1/5 $VENV is there, going on with it"
    else
        say "1/5 making $VENV with $base (Python $2)"
        # Not --clear: that would delete the lock's folder.
        rm -rf $VENV/bin $VENV/lib $VENV/lib64 $VENV/include \
            $VENV/pyvenv.cfg $MMCV_FOR
        "$base" -m venv $VENV ||
            fail "cannot make $VENV: apt-get install python$2-venv"
    fi
}

install_torch() {
    if [ -n "${TORCH_SPEC:-}" ]; then
        say "3/5 $TORCH_SPEC"
        # shellcheck disable=SC2086
        pip_install torch -c requirements/lock.txt $TORCH_SPEC
    else
        say "3/5 $(grep '^torch' requirements/torch.txt | xargs):" \
            'downloads about 3 GB'
        pip_install torch -c requirements/lock.txt -r requirements/torch.txt
    fi
}

install_packages() {
    say '4/5 the other packages'
    # mmcv comes last, built for the torch that is there.
    grep -v '^mmcv' requirements/mminstall.txt >$VENV/mminstall.txt
    pip_install packages -c requirements/lock.txt -r $VENV/mminstall.txt \
        -r requirements/runtime.txt -r requirements/tests.txt
}

compile_mmcv() ( # JOBS; a subshell, for its exports
    # torch's registry build knows CUDA; without a CUDA compiler the ops are
    # built for the CPU.
    if [ -z "${CUDA_HOME:-}" ] && ! command -v nvcc >/dev/null; then
        export CUDA_VISIBLE_DEVICES=
    fi
    # torch looks for ninja on the PATH.
    export PATH=$PWD/$VENV/bin:$PATH MMCV_WITH_OPS=1 MAX_JOBS=$1
    export CFLAGS="${CFLAGS:--O1}" CXXFLAGS="${CXXFLAGS:--O1}"
    # No cache: a wheel in it may be for another torch.
    pip_install mmcv -v --no-build-isolation --no-deps --no-cache-dir \
        --force-reinstall --no-binary mmcv \
        "$(grep '^mmcv==' requirements/mminstall.txt)"
)

build_mmcv() {
    local torch_build jobs
    torch_build=$($VENV/bin/python -c \
        'import torch; print(torch.__version__, torch.version.cuda)')
    if [ "$(cat $MMCV_FOR 2>/dev/null)" = "$torch_build" ] &&
        $VENV/bin/python -c 'import mmcv.ops' 2>/dev/null; then
        say '5/5 mmcv with ops is there'
        return
    fi
    jobs=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}
    say "5/5 compiling mmcv 2.1.0 with its ops, $jobs at a time: about" \
        '6-10 minutes on two cores, once'
    compile_mmcv "$jobs"
    echo "$torch_build" >$MMCV_FOR
}

main() {
    export PYTHONNOUSERSITE=1
    if [ -n "${GSLORA_PYTHON:-}" ]; then
        command -v "$GSLORA_PYTHON" >/dev/null ||
            fail "GSLORA_PYTHON=$GSLORA_PYTHON is no program"
        PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} \
            exec "$GSLORA_PYTHON" -W ignore tools/check_env.py
    fi
    unset PYTHONPATH PYTHONHOME

    # Without PYTHON an environment that is there keeps its version.
    local base=${PYTHON:-$VENV/bin/python} version
    version=$(version_of "$base" 2>/dev/null || true)
    ! is_ready "$version" || return 0

    if [ -n "${PYTHON:-}" ] || ! venv_works; then
        base=$(find_python)
        version=$(version_of "$base")
    fi
    check_compiler
    check_disk
    mkdir -p $LOGS
    if command -v flock >/dev/null; then
        exec 9>$VENV/.lock
        flock -n 9 || { say 'another set-up is running, waiting' && flock 9; }
        ! is_ready "$version" || return 0
    fi
    rm -f $STAMP

    say "environment in $VENV, logs in $LOGS"
    make_venv "$base" "$version"
    say '2/5 build tools'
    pip_install build -r requirements/build.txt
    install_torch
    install_packages
    build_mmcv
    pip_install project --no-build-isolation --no-deps -e .
    say 'checking'
    $VENV/bin/python -W ignore tools/check_env.py
    fingerprint "$version" >$STAMP
    say 'ready'
}

main "$@"

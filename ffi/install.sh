#!/bin/sh
# install.sh PREFIX: builds libtethered and installs it with its headers, a pkg-config file and a CMake package.
#
#   LIBDIR=lib   the folder of libraries, below PREFIX; for example lib/x86_64-linux-gnu
#   DESTDIR=     put before every path that is written, for who makes a package
#
# What is installed finds itself: the tree may be moved as a whole.
set -eu

if [ $# -ne 1 ] || [ -z "$1" ]; then
    echo "usage: [LIBDIR=lib] [DESTDIR=] $0 PREFIX" >&2
    exit 2
fi
case $1 in
    /*) prefix=${1%/} ;;
    *) prefix=$PWD/${1%/} ;;
esac
libdir=${LIBDIR:-lib}
libdir=${libdir#"$prefix"/}
libdir=${libdir%/}
case $libdir in
    /* | "" | .* | */..* | *//*) echo "LIBDIR must be a folder below PREFIX, such as lib; it is $libdir" >&2; exit 2 ;;
esac

ffi=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$ffi")
cd "$root"
cargo build --locked --release -p tethered-ffi
built=${CARGO_TARGET_DIR:-target}/release

header=include/tethered.h
number() { sed -n "s/^#define TETHERED_$1 \([0-9]*\)\$/\1/p" "$header"; }
abi=$(number ABI)
major=$(number VERSION_MAJOR)
minor=$(number VERSION_MINOR)
version=$major.$minor.$(number VERSION_PATCH)
series=$major
[ "$major" != 0 ] || series=0.$minor
# What a program needs besides libtethered.a; libtethered.so brings it along.
native="-lgcc_s -lutil -lrt -lpthread -lm -ldl"
# From the folder of libraries up to PREFIX.
up=$(echo "$libdir" | sed 's#[^/][^/]*#..#g')

fill() {
    sed -e "s#@VERSION@#$version#g" -e "s#@ABI@#$abi#g" -e "s#@SERIES@#$series#g" -e "s#@LIBDIR@#$libdir#g" \
        -e "s#@UP@#$up#g" -e "s#@NATIVE@#$2#g" "ffi/package/$1.in"
}

to=${DESTDIR:-}$prefix
mkdir -p "$to/include" "$to/$libdir/pkgconfig" "$to/$libdir/cmake/tethered"
install -m 644 include/tethered.h include/tethered.hpp "$to/include/"
install -m 644 "$built/libtethered.a" "$to/$libdir/"
install -m 755 "$built/libtethered.so" "$to/$libdir/libtethered.so.$version"
ln -sf "libtethered.so.$version" "$to/$libdir/libtethered.so.$abi"
ln -sf "libtethered.so.$abi" "$to/$libdir/libtethered.so"
fill tethered.pc "$native" >"$to/$libdir/pkgconfig/tethered.pc"
fill tethered-config.cmake "$(echo "$native" | tr ' ' ';')" >"$to/$libdir/cmake/tethered/tethered-config.cmake"
fill tethered-config-version.cmake "" >"$to/$libdir/cmake/tethered/tethered-config-version.cmake"
echo "installed tethered $version below $to"

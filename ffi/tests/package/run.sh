#!/usr/bin/env bash
# run.sh FOLDER: installs into FOLDER, looks at what is there, and uses it from an empty C and an empty C++ project.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
mkdir -p "$1"
work=$(cd "$1" && pwd)
rm -rf "${work:?}/tree" "$work/moved" "$work/c" "$work/cpp"

fail() { echo "package: $*"; exit 1; }

# What a program needs that is linked to the .a is what rustc says.
said=$(cd "$root" && touch ffi/src/lib.rs &&
    cargo rustc --locked -p tethered-ffi --lib --crate-type staticlib -- --print native-static-libs 2>&1 |
    sed -n 's/^.*native-static-libs: //p' | tr ' ' '\n' | sort -u | grep -v '^-lc$' | xargs)
ours=$(sed -n 's/^native="\(.*\)"$/\1/p' "$root/ffi/install.sh" | tr ' ' '\n' | sort -u | xargs)
[ "$said" = "$ours" ] || fail "rustc wants $said, install.sh says $ours"

for libdir in lib lib/x86_64-linux-gnu; do
    rm -rf "$work/tree" "$work/moved" "$work/c" "$work/cpp"
    LIBDIR=$libdir DESTDIR=$work/tree "$root/ffi/install.sh" /opt/tethered
    # It finds itself where it lies.
    mv "$work/tree/opt/tethered" "$work/moved"
    lib=$work/moved/$libdir
    abi=$(sed -n 's/^#define TETHERED_ABI //p' "$work/moved/include/tethered.h")
    soname=$(readelf -d "$lib/libtethered.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
    [ "$soname" = "libtethered.so.$abi" ] || fail "the soname is $soname"
    foreign=$(nm -D --defined-only "$lib/libtethered.so" | awk '$3 !~ /^tethered_/ { print $3 }')
    [ -z "$foreign" ] || fail "exported besides tethered_: $foreign"
    needed=$(readelf -d "$lib/libtethered.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | xargs)
    for name in $needed; do
        case $name in
            libc.so.* | libgcc_s.so.* | libm.so.* | ld-linux*) ;;
            *) fail "it needs $name" ;;
        esac
    done

    mkdir "$work/c" "$work/cpp"
    export PKG_CONFIG_PATH=$lib/pkgconfig
    cp "$here/main.c" "$work/c"
    (
        cd "$work/c"
        # shellcheck disable=SC2046
        cc -std=c11 -Wall -Wextra -Werror main.c $(pkg-config --cflags --libs tethered) -Wl,-rpath,"$lib" -o shared
        # shellcheck disable=SC2046
        cc -std=c11 -Wall -Wextra -Werror main.c $(pkg-config --cflags tethered) "$lib/libtethered.a" \
            $(pkg-config --static --libs-only-l tethered | sed 's/-ltethered//') -o static
        ./shared
        ./static
    )
    cp "$here/main.cpp" "$here/CMakeLists.txt" "$work/cpp"
    cmake -S "$work/cpp" -B "$work/cpp/build" -DCMAKE_PREFIX_PATH="$work/moved" >"$work/cmake.log" || fail "$(cat "$work/cmake.log")"
    cmake --build "$work/cpp/build"
    (cd "$work/cpp/build" && ctest --output-on-failure)
done

# An optimizer may take an allocation that is freed at once for one that cannot fail: the library as it is installed has to
# notice that there is no memory.
tests=$root/ffi/tests/c
for part in failing memory; do
    shield=
    [ $part = failing ] || shield="-Dmalloc=__real_malloc -Dcalloc=__real_calloc -Dfree=__real_free"
    # shellcheck disable=SC2086
    cc -std=c11 -O2 -Wall -Wextra -Werror $shield -I "$work/moved/include" -c "$tests/$part.c" -o "$work/$part.o"
done
# shellcheck disable=SC2046
cc "$work/failing.o" "$work/memory.o" "$lib/libtethered.a" -o "$work/memory" \
    -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign,--wrap=free \
    $(pkg-config --static --libs-only-l tethered | sed 's/-ltethered//')
[ "$("$work/memory")" = ok ] || fail "it does not notice that there is no memory"

cp "$lib/libtethered.so" "$work/stripped.so"
strip "$work/stripped.so"
echo "libtethered.so: $(stat -c %s "$work/stripped.so") bytes stripped; needs $needed"

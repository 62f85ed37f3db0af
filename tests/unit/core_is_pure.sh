#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The core decides and nothing else: no clock, no I/O, no heap, no variables, no
# floating point. Proved on its release objects: what they leave undefined is
# memory and string functions alone, and they have no writable data.
#
# usage: core_is_pure.sh SOURCE-DIR SCRATCH-DIR CC
set -eu
source=$1 scratch=$2 cc=$3
failed=0

complain() {
    echo "core_is_pure: $*" >&2
    failed=1
}

mkdir -p "$scratch"
cmake -S "$source" -B "$scratch" -G Ninja -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_BUILD_TYPE=Release -DBREAKERD_TESTS=OFF >"$scratch/log" 2>&1 &&
    cmake --build "$scratch" --target bk_core bk_core_client -j 2 \
        >>"$scratch/log" 2>&1 || {
    tail -n 30 "$scratch/log" >&2
    complain "the release build of the core failed"
    exit 1
}

# Of str* not those that allocate, keep state or look at the locale.
memory='^(mem(chr|cmp|cpy|move|set)|str(chr|rchr|cmp|ncmp|len|nlen|spn|cspn|str))$'
compiler='^(__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$'

# check LIBRARY BUG: BUG is how it says that a promise was broken.
check() {
    test -s "$1" || complain "$1 is missing"
    nm -g --defined-only "$1" | awk 'NF == 3 {print $3}' | sort -u \
        >"$scratch/defined"
    nm -u "$1" | awk '$1 == "U" {print $2}' | sort -u >"$scratch/undefined"
    test -s "$scratch/defined" || complain "$1 defines nothing"
    outside=$(comm -13 "$scratch/defined" "$scratch/undefined" |
        grep -Ev "$memory" | grep -Ev "$compiler" | grep -vx "$2" || true)
    test -z "$outside" || complain "$1 needs from outside:" $outside
    # .data.rel.ro is constant: addresses in tables.
    writable=$(objdump -h "$1" | awk '
        $2 ~ /^\.t?(data|bss)(\..*)?$/ && $2 !~ /^\.data\.rel\.ro/ &&
        $3 !~ /^0+$/ {print $2}' | sort -u)
    test -z "$writable" || complain "$1 has variables:" $writable
}

check "$scratch/core/libbk_core.a" __assert_fail
check "$scratch/core/libbk_core_client.a" bk_bug

floats=$(grep -nEw 'float|double' "$source"/core/*.[ch] |
    grep -vE ':[0-9]+:[[:space:]]*(/?\*|//)|/\*.*(float|double)' || true)
test -z "$floats" || complain "floating point: $floats"
exit $failed

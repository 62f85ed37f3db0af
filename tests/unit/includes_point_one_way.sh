#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Who may know whom: the core knows nobody, daemon and client the core and never
# each other, tools the client but never the daemon. And every header compiles
# alone.
#
# usage: includes_point_one_way.sh SOURCE-DIR CC
set -eu
source=$1 cc=$2
failed=0

complain() {
    echo "includes_point_one_way: $*" >&2
    failed=1
}

# Prints "file what" for each #include of the files given.
includes_of() {
    awk 'FNR == 1 {file = FILENAME}
         /^[[:space:]]*#[[:space:]]*include/ {
             sub(/^[[:space:]]*#[[:space:]]*include[[:space:]]*/, "")
             sub(/[[:space:]].*$/, "")
             print file, $0
         }' "$@"
}

# allow FOLDER PATTERN: what its files may include, as an extended expression.
allow() {
    set -- "$1" "$2" $(find "$1" -name '*.[ch]' | sort)
    folder=$1 pattern=$2
    shift 2
    test $# -gt 0 || return 0
    wrong=$(includes_of "$@" | grep -Ev " ($pattern)\$" || true)
    test -z "$wrong" || complain "$folder reaches too far:
$wrong"
}

cd "$source"
freestanding='<(assert|limits|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|string)\.h>'
allow core "\"core/[a-z_]+\.h\"|$freestanding"
allow daemon '"(core|daemon)/[a-z_/]+\.h"|<[a-z0-9_/]+\.h>'
allow client '"(core|client|breaker)/[a-z_/]+\.h"|<[a-z0-9_/]+\.h>'
allow include '"breaker/[a-z_]+\.h"|<[a-z0-9_/]+\.h>'
allow tools '"(core|client|tools|breaker)/[a-z_/]+\.h"|<[a-z0-9_/]+\.h>'
# An installed header is not found by a path of ours.
wrong=$(includes_of $(find core daemon client include tools -name '*.[ch]') |
    grep -E ' <(core|daemon|client|tools)/' || true)
test -z "$wrong" || complain "ours is included as a stranger's:
$wrong"

for header in $(find core daemon client include tools -name '*.h' | sort); do
    "$cc" -std=c11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -I. \
        -Iinclude -x c - <<END || complain "$header does not compile alone"
#include "${header#include/}"
typedef int there_is_something_after_it;
END
done
exit $failed

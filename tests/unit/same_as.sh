#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A document that a program prints is what the program prints.
#
# usage: same_as.sh DOCUMENT PROGRAM
set -eu
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
"$2" >"$printed"
if ! diff -u "$1" "$printed"; then
    echo "$1 is out of date: build the target docs_${2##*/}" |
        sed 's/docs_\([a-z]*\)_reference$/docs_\1/' >&2
    exit 1
fi

# SPDX-License-Identifier: Apache-2.0
# cmake -DIN=FILE -DOUT=FILE.c -DNAME=SYMBOL -P Embed.cmake: a text file as a
# NUL-ended array of characters.
file(READ "${IN}" octets HEX)
string(REGEX REPLACE "(..)" "'\\\\x\\1'," octets "${octets}")
string(REPEAT "." 70 line)
string(REGEX REPLACE "(${line})" "\\1\n" octets "${octets}")
file(WRITE "${OUT}" "extern const char ${NAME}[];\nconst char ${NAME}[] = {${octets}0};\n")

#ifndef TARGET_H
#define TARGET_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A fuzz target: one function that takes any octets and may not crash, hang or
 * break its promises. libFuzzer calls it under clang, replay.c everywhere. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test; stops the program with what was broken. */
#define PROMISE(condition) \
    ((condition) ? (void)0 : broken(#condition, __FILE__, __LINE__))
_Noreturn void broken(const char *promise, const char *file, int line);

#endif

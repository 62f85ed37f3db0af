#ifndef UNIT_H
#define UNIT_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What every unit test includes: cmocka with what it needs before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MS(n) ((int64_t)(n)*INT64_C(1000000))
#define SECONDS(n) ((int64_t)(n)*INT64_C(1000000000))

#endif

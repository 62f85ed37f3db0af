#ifndef BK_IMAGE_H
#define BK_IMAGE_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * An image: a struct copied word by word into shared memory, with a check word
 * behind it. Whoever reads while it is written, or after its writer died in the
 * middle, sees a wrong check. Memory of zeros is a whole image of zeros. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words an image of `type` takes, the check word included. */
#define BK_IMAGE_WORDS(type) (sizeof(type) / sizeof(uint64_t) + 1)

/* The check word of `bytes` octets (a multiple of 8). */
uint64_t bk_image_check(const void *from, size_t bytes);
/* Copies `bytes` (a multiple of 8) into the image at `at`. One writer. */
void bk_image_store(_Atomic uint64_t *at, const void *from, size_t bytes);
/* The same when the check word is known. */
void bk_image_put(_Atomic uint64_t *at, const void *from, size_t bytes,
                  uint64_t check);
/* As bk_image_store, but leaves an image alone that says the same already. */
void bk_image_update(_Atomic uint64_t *at, const void *from, size_t bytes);
/* Copies the image out; false when its check is wrong (`out` is then garbage,
 * though initialised). */
bool bk_image_load(_Atomic uint64_t *at, void *out, size_t bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/format.h"
#include "core/bug.h"
#include <string.h>

/* What can stand in a format. */
enum piece { WORD, PART_OF_WORD, NUMBER, COUNT, SIZE, PIECES };

static const char *const written[PIECES] = {
    [WORD] = "%s",  [PART_OF_WORD] = "%.*s", [NUMBER] = "%d",
    [COUNT] = "%u", [SIZE] = "%zu",
};

static enum piece
find_piece(const char *at)
{
    int i = 0;

    while (i < PIECES && strncmp(at, written[i], strlen(written[i])) != 0)
        i++;
    BK_ASSERT(i < PIECES);
    return (enum piece)i;
}

void
bk_text_format(struct bk_text *t, const char *format, va_list args)
{
    const char *percent;

    while ((percent = strchr(format, '%')) != NULL) {
        enum piece piece = find_piece(percent);
        int len;

        bk_text_put_n(t, format, (size_t)(percent - format));
        switch (piece) {
        case WORD:
            bk_text_put(t, va_arg(args, const char *));
            break;
        case PART_OF_WORD:
            len = va_arg(args, int);
            bk_text_put_n(t, va_arg(args, const char *), (size_t)len);
            break;
        case NUMBER:
            bk_text_put_i64(t, va_arg(args, int));
            break;
        case COUNT:
            bk_text_put_u64(t, va_arg(args, unsigned));
            break;
        case SIZE:
            bk_text_put_u64(t, va_arg(args, size_t));
            break;
        case PIECES:
            return;
        }
        format = percent + strlen(written[piece]);
    }
    bk_text_put(t, format);
}

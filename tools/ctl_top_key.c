/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys: the octets a terminal sends, and what they do. */
#include "tools/ctl_top.h"
#include <string.h>

#define ESCAPE '\033'

/* Keys that are more than one octet. */
enum key {
    KEY_UP = 256,
    KEY_DOWN,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_HOME,
    KEY_END,
    KEY_NONE
};

static const struct {
    const char *octets;
    enum key key;
} sequences[] = {
    {"\033[A", KEY_UP},   {"\033OA", KEY_UP},       {"\033[B", KEY_DOWN},
    {"\033OB", KEY_DOWN}, {"\033[5~", KEY_PAGE_UP}, {"\033[6~", KEY_PAGE_DOWN},
    {"\033[H", KEY_HOME}, {"\033[1~", KEY_HOME},    {"\033OH", KEY_HOME},
    {"\033[F", KEY_END},  {"\033[4~", KEY_END},     {"\033OF", KEY_END},
};

/* The key at the start of `octets`; how many it took. A sequence that nobody knows
 * is passed over as a whole. */
static size_t
next_key(const char *octets, size_t len, int *key)
{
    size_t end = 2;

    *key = (unsigned char)octets[0];
    if (octets[0] != ESCAPE || len < 2 ||
        (octets[1] != '[' && octets[1] != 'O'))
        return 1;
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        size_t one = strlen(sequences[i].octets);

        if (one <= len && memcmp(octets, sequences[i].octets, one) == 0) {
            *key = (int)sequences[i].key;
            return one;
        }
    }
    *key = KEY_NONE;
    while (end < len && (octets[end] < '@' || octets[end] > '~'))
        end++;
    return end < len ? end + 1 : len;
}

/* Moves the selection by so many rows, or the explanation by so many lines. */
static void
move(struct top *t, long by)
{
    size_t at = top_selected(t);
    size_t last;

    if (t->mode != TOP_TABLE) {
        size_t most = t->story.count;

        if (by < 0)
            t->scroll -= (size_t)-by < t->scroll ? (size_t)-by : t->scroll;
        else
            t->scroll =
                t->scroll + (size_t)by < most ? t->scroll + (size_t)by : most;
        return;
    }
    if (t->shown_count == 0)
        return;
    last = t->shown_count - 1;
    if (by < 0)
        at -= (size_t)-by < at ? (size_t)-by : at;
    else
        at = at + (size_t)by < last ? at + (size_t)by : last;
    memcpy(t->selected, t->rows[t->shown[at]].name, BK_NAME_SIZE);
}

/* One more octet of the filter, or what ends it. */
static void
type_filter(struct top *t, int key)
{
    size_t len = strlen(t->filter);
    char octet = (char)key;

    if (key == '\r' || key == '\n') {
        t->is_typing = false;
    } else if (key == ESCAPE) {
        t->is_typing = false;
        t->filter[0] = '\0';
    } else if (key == 0x7f || key == '\b') {
        if (len > 0)
            t->filter[len - 1] = '\0';
    } else if (key < 256 && len + 1 < sizeof t->filter &&
               bk_name_is_valid(&octet, 1)) {
        t->filter[len] = octet;
        t->filter[len + 1] = '\0';
    }
}

/* The same key again turns the order round. */
static void
sort_by(struct top *t, enum top_sort sort)
{
    t->is_reversed = t->sort == sort && !t->is_reversed;
    t->sort = sort;
}

static bool
is_sort_key(struct top *t, int key)
{
    static const char keys[TOP_SORT_COUNT + 1] = {
        [TOP_BY_NAME] = 'n',   [TOP_BY_STATE] = 's', [TOP_BY_FAILURES] = 'f',
        [TOP_BY_DENIED] = 'd', [TOP_BY_CALLS] = 'c', [TOP_BY_LEFT] = 't',
        [TOP_BY_BUDGET] = 'b'};
    const char *at = key > 0 && key < 128 ? strchr(keys, key) : NULL;

    if (at == NULL || t->mode != TOP_TABLE)
        return false;
    sort_by(t, (enum top_sort)(at - keys));
    return true;
}

/* Back to the table, or, there already, to all of its rows. */
static void
go_back(struct top *t)
{
    if (t->mode == TOP_TABLE)
        t->filter[0] = '\0';
    t->mode = TOP_TABLE;
}

static bool
is_move_key(struct top *t, int key)
{
    long page = (long)top_room(t);

    if (key == KEY_UP || key == 'k')
        move(t, -1);
    else if (key == KEY_DOWN || key == 'j')
        move(t, 1);
    else if (key == KEY_PAGE_UP)
        move(t, -page);
    else if (key == KEY_PAGE_DOWN)
        move(t, page);
    else if (key == KEY_HOME || key == 'g')
        move(t, -(long)(t->shown_count + t->story.count));
    else if (key == KEY_END || key == 'G')
        move(t, (long)(t->shown_count + t->story.count));
    else
        return false;
    return true;
}

static void
press(struct top *t, int key)
{
    if (t->is_typing) {
        type_filter(t, key);
        return;
    }
    if (is_sort_key(t, key) || is_move_key(t, key))
        return;
    switch (key) {
    case 'q':
        t->wants_end = true;
        break;
    case 'r':
        t->is_reversed = !t->is_reversed;
        break;
    case ' ':
        t->is_paused = !t->is_paused;
        break;
    case '/':
        t->is_typing = t->mode == TOP_TABLE;
        break;
    case '?':
    case 'h':
        t->mode = t->mode == TOP_HELP ? TOP_TABLE : TOP_HELP;
        break;
    case '\r':
    case '\n':
        if (t->mode == TOP_TABLE && t->shown_count > 0) {
            t->mode = TOP_EXPLAIN;
            t->scroll = 0;
            t->story.count = 0;
        }
        break;
    case ESCAPE:
        go_back(t);
        break;
    default:
        break;
    }
}

void
top_type(struct top *t, const char *octets, size_t len)
{
    while (len > 0 && !t->wants_end) {
        int key;
        size_t taken = next_key(octets, len, &key);

        press(t, key);
        top_arrange(t);
        octets += taken;
        len -= taken;
    }
}

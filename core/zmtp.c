/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zmtp.h"
#include "core/wire.h"
#include <string.h>

/* ---- greeting ----
 *
 *     0     9    10     11     12         32         33     64
 *     FF ... 7F  major  minor  mechanism  as-server  filler
 *
 * The first ten are the signature; what is between is padding. */
#define SIGNATURE_LAST 9
#define MAJOR 10
#define MINOR 11
#define MECHANISM 12
#define MECHANISM_SIZE 20

static const char mechanism[MECHANISM_SIZE] = "NULL";

/* What differs between the two sides. */
struct side {
    const char *type;
    uint64_t frame_max;
    const char *partners[3]; /* whom such a socket talks to */
    const char *stranger;
};

static const struct side sides[] = {
    [BK_ZMTP_DEALER] = {"DEALER",
                        BK_ZMTP_FRAME_MAX,
                        {"ROUTER", "REP", "DEALER"},
                        "its socket is none that answers"},
    [BK_ZMTP_ROUTER] = {"ROUTER",
                        BK_FRAME_MAX,
                        {"DEALER", "REQ", "ROUTER"},
                        "its socket is none that asks"}};

/* ---- frames: a head of flags and size, then the content ---- */
#define FLAG_MORE 0x01U
#define FLAG_LONG 0x02U
#define FLAG_COMMAND 0x04U
#define SHORT_HEAD 2

static void
fail(struct bk_zmtp_item *item, const char *fault)
{
    item->kind = BK_ZMTP_FAULT;
    item->fault = fault;
}

/* As soon as it can be told: one that speaks something else need not send 64
 * octets. */
static void
take_greeting(enum bk_zmtp_phase *phase, const uint8_t *octets, size_t count,
              struct bk_zmtp_item *item)
{
    if ((count > 0 && octets[0] != 0xff) ||
        (count > SIGNATURE_LAST && octets[SIGNATURE_LAST] != 0x7f)) {
        fail(item, "it does not greet as ZeroMQ does");
    } else if (count > MAJOR && octets[MAJOR] < 3) {
        fail(item, "it speaks a ZMTP older than 3.0");
    } else if (count < BK_ZMTP_GREETING) {
        item->needed = BK_ZMTP_GREETING;
    } else if (memcmp(octets + MECHANISM, mechanism, MECHANISM_SIZE) != 0) {
        fail(item, "its security mechanism is not NULL");
    } else {
        item->kind = BK_ZMTP_NOTHING;
        item->used = BK_ZMTP_GREETING;
        *phase = BK_ZMTP_WANTS_READY;
    }
}

/* ---- commands ---- */

struct slice {
    const uint8_t *at;
    size_t len;
};

/* Takes `len` octets from the front; false: there are fewer. */
static bool
cut(struct slice *from, size_t len, struct slice *out)
{
    if (from->len < len)
        return false;
    out->at = from->at;
    out->len = len;
    from->at += len;
    from->len -= len;
    return true;
}

/* A string behind its size of one octet. */
static bool
cut_short(struct slice *from, struct slice *out)
{
    struct slice size;

    return cut(from, 1, &size) && cut(from, size.at[0], out);
}

/* A string behind its size of four octets. */
static bool
cut_long(struct slice *from, struct slice *out)
{
    struct slice size;
    size_t len = 0;

    if (!cut(from, 4, &size))
        return false;
    for (int i = 0; i < 4; i++)
        len = len << 8 | size.at[i];
    return cut(from, len, out);
}

static bool
is_word(const struct slice *s, const char *word)
{
    return s->len == strlen(word) && memcmp(s->at, word, s->len) == 0;
}

/* Names of properties are compared without regard to case. */
static bool
is_socket_type(const struct slice *name)
{
    static const char wanted[] = "socket-type";

    if (name->len != sizeof wanted - 1)
        return false;
    for (size_t i = 0; i < name->len; i++) {
        uint8_t c = name->at[i];

        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c - 'A' + 'a');
        if (c != (uint8_t)wanted[i])
            return false;
    }
    return true;
}

static bool
is_partner_of(const struct side *side, const struct slice *type)
{
    bool is_one = false;

    for (size_t i = 0; i < sizeof side->partners / sizeof side->partners[0];
         i++)
        is_one = is_one || is_word(type, side->partners[i]);
    return is_one;
}

/* Properties: names and values. */
static void
take_ready(const struct side *side, enum bk_zmtp_phase *phase,
           struct slice *data, struct bk_zmtp_item *item)
{
    bool is_partner = false;

    while (data->len > 0) {
        struct slice name;
        struct slice value;

        if (!cut_short(data, &name) || !cut_long(data, &value)) {
            fail(item, "its READY is cut short");
            return;
        }
        if (is_socket_type(&name))
            is_partner = is_partner_of(side, &value);
    }
    if (!is_partner) {
        fail(item, side->stranger);
        return;
    }
    item->kind = BK_ZMTP_READY;
    *phase = BK_ZMTP_TRAFFIC;
}

static void
take_error(struct slice *data, struct bk_zmtp_item *item)
{
    struct slice reason = {data->at, 0};

    (void)cut_short(data, &reason);
    item->kind = BK_ZMTP_REFUSED;
    item->data = reason.at;
    item->len = reason.len;
}

/* A time to live of two octets, which only concerns who can close by himself, and
 * the context. */
static void
take_ping(struct slice *data, struct bk_zmtp_item *item)
{
    struct slice ttl;

    if (!cut(data, 2, &ttl) || data->len > BK_ZMTP_CONTEXT_MAX) {
        fail(item, "its PING is malformed");
        return;
    }
    item->kind = BK_ZMTP_PING;
    item->data = data->at;
    item->len = data->len;
}

static void
take_command(const struct side *side, enum bk_zmtp_phase *phase,
             struct slice data, struct bk_zmtp_item *item)
{
    struct slice name;

    if (!cut_short(&data, &name))
        fail(item, "a command has no name");
    else if (is_word(&name, "ERROR"))
        take_error(&data, item);
    else if (*phase == BK_ZMTP_WANTS_READY && is_word(&name, "READY"))
        take_ready(side, phase, &data, item);
    else if (*phase == BK_ZMTP_WANTS_READY)
        fail(item, "its handshake begins with another command than READY");
    else if (is_word(&name, "PING"))
        take_ping(&data, item);
    else
        item->kind = BK_ZMTP_NOTHING;
}

/* The size in a head that is whole. */
static uint64_t
read_size(const uint8_t *octets, size_t head)
{
    uint64_t size = 0;

    for (size_t i = 1; i < head; i++)
        size = size << 8 | octets[i];
    return size;
}

static void
take_frame(const struct side *side, enum bk_zmtp_phase *phase,
           const uint8_t *octets, size_t count, struct bk_zmtp_item *item)
{
    uint8_t flags = count > 0 ? octets[0] : 0;
    bool is_command = (flags & FLAG_COMMAND) != 0;
    size_t head = (flags & FLAG_LONG) != 0 ? BK_ZMTP_FRAME_HEAD : SHORT_HEAD;
    uint64_t size;

    if ((flags & ~(FLAG_MORE | FLAG_LONG | FLAG_COMMAND)) != 0 ||
        (is_command && (flags & FLAG_MORE) != 0)) {
        fail(item, "a frame has unknown flags");
        return;
    }
    item->needed = head;
    if (count < head)
        return;
    size = read_size(octets, head);
    if (size > (is_command ? BK_ZMTP_COMMAND_MAX : side->frame_max)) {
        fail(item, "a frame is too long");
        return;
    }
    if (!is_command && *phase == BK_ZMTP_WANTS_READY) {
        fail(item, "it sends messages before its READY");
        return;
    }
    item->needed = head + (size_t)size;
    if (count < item->needed)
        return;
    item->used = item->needed;
    if (is_command) {
        take_command(side, phase, (struct slice){octets + head, (size_t)size},
                     item);
        return;
    }
    item->kind = BK_ZMTP_FRAME;
    item->data = octets + head;
    item->len = (size_t)size;
    item->has_more = (flags & FLAG_MORE) != 0;
}

void
bk_zmtp_take(enum bk_zmtp_side side, enum bk_zmtp_phase *phase,
             const uint8_t *octets, size_t count, struct bk_zmtp_item *item)
{
    memset(item, 0, sizeof *item);
    item->kind = BK_ZMTP_INCOMPLETE;
    if (*phase == BK_ZMTP_WANTS_GREETING)
        take_greeting(phase, octets, count, item);
    else
        take_frame(&sides[side], phase, octets, count, item);
}

/* ---- what we say ---- */

static size_t
write_head(uint8_t *out, uint8_t flags, size_t len)
{
    out[0] = flags;
    out[1] = (uint8_t)len;
    if (len <= BK_ZMTP_SHORT_MAX)
        return SHORT_HEAD;
    out[0] = (uint8_t)(flags | FLAG_LONG);
    for (int i = 0; i < 8; i++)
        out[1 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    return BK_ZMTP_FRAME_HEAD;
}

size_t
bk_zmtp_put_head(uint8_t out[BK_ZMTP_FRAME_HEAD], size_t len, bool has_more)
{
    return write_head(out, has_more ? FLAG_MORE : 0, len);
}

/* Octets being written; the caller has seen to the room. */
struct pen {
    uint8_t *at;
    size_t len;
};

static void
begin(struct pen *pen, uint8_t *out)
{
    pen->at = out;
    pen->len = 0;
}

static void
put(struct pen *pen, const void *octets, size_t len)
{
    if (len > 0)
        memcpy(pen->at + pen->len, octets, len);
    pen->len += len;
}

static void
put_head(struct pen *pen, uint8_t flags, size_t len)
{
    pen->len += write_head(pen->at + pen->len, flags, len);
}

/* A string behind its size of one octet. */
static void
put_short(struct pen *pen, const char *word)
{
    uint8_t len = (uint8_t)strlen(word);

    put(pen, &len, 1);
    put(pen, word, len);
}

static void
put_property(struct pen *pen, const char *name, const char *value)
{
    const uint8_t zeros[3] = {0};

    put_short(pen, name);
    put(pen, zeros, sizeof zeros); /* the size's upper octets */
    put_short(pen, value);
}

size_t
bk_zmtp_put_opening(enum bk_zmtp_side side, uint8_t out[BK_ZMTP_OPENING])
{
    uint8_t greeting[BK_ZMTP_GREETING] = {
        [0] = 0xff, [SIGNATURE_LAST] = 0x7f, [MAJOR] = 3, [MINOR] = 0};
    struct pen pen;
    uint8_t *size;

    begin(&pen, out);
    memcpy(greeting + MECHANISM, mechanism, MECHANISM_SIZE);
    put(&pen, greeting, sizeof greeting);
    put_head(&pen, FLAG_COMMAND, 0);
    size = pen.at + pen.len - 1;
    put_short(&pen, "READY");
    put_property(&pen, "Socket-Type", sides[side].type);
    put_property(&pen, "Identity", "");
    *size = (uint8_t)(pen.at + pen.len - size - 1);
    return pen.len;
}

size_t
bk_zmtp_put_pong(uint8_t out[BK_ZMTP_PONG_MAX], const uint8_t *context,
                 size_t len)
{
    struct pen pen;

    begin(&pen, out);
    put_head(&pen, FLAG_COMMAND, 5 + len);
    put_short(&pen, "PONG");
    put(&pen, context, len);
    return pen.len;
}

static size_t
count_lines(const char *lines, const char *end)
{
    size_t count = 0;

    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));

        count++;
        lines = stop == NULL ? end : stop + 1;
    }
    return count;
}

size_t
bk_zmtp_put_message(uint8_t *out, size_t size, uint64_t id, const char *lines,
                    size_t len)
{
    const char *end = lines + len;
    struct pen pen;

    if (len == 0 || size < BK_ZMTP_ENVELOPE + len +
                               BK_ZMTP_FRAME_HEAD * count_lines(lines, end))
        return 0;
    begin(&pen, out);
    if (id != 0) {
        put_head(&pen, FLAG_MORE, sizeof id);
        put(&pen, &id, sizeof id);
    }
    put_head(&pen, FLAG_MORE, 0);
    while (lines < end) {
        const char *stop = memchr(lines, '\n', (size_t)(end - lines));

        if (stop == NULL)
            stop = end;
        put_head(&pen, stop + 1 < end ? FLAG_MORE : 0, (size_t)(stop - lines));
        put(&pen, lines, (size_t)(stop - lines));
        lines = stop + 1;
    }
    return pen.len;
}

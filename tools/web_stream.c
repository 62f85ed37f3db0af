/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/web_stream.h"
#include "tools/ctl_document.h"
#include "tools/ctl_out.h"
#include "tools/ctl_past.h"
#include "tools/web_clock.h"
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* How soon a change is seen. */
#define TICK_NS (250 * BK_NS_PER_MS)
/* Without news the daemon's heartbeat is told this often: it keeps the page sure
 * of us, and tells us who has gone away. */
#define TELL_NS (2 * BK_NS_PER_S)
/* What may wait for one listener. A page that lies asleep in a tab does not make
 * the server keep its past. */
#define WAITING_MAX 64
#define WAITING_OCTETS_MAX (16U << 20)
/* Of the lines that a listener missed, the newest are told: half its room. */
#define MISSED_MAX (WAITING_MAX / 2)
/* Octets handed to libmicrohttpd at once. */
#define BLOCK_SIZE 16384

/* An event's octets, shared by all who have not sent them yet. */
struct event {
    unsigned holders;
    size_t len;
    char *text;
};

struct stream {
    struct stream *next;
    struct web_streams *all;
    struct MHD_Connection *connection;
    struct event *waiting[WAITING_MAX];
    unsigned first;
    unsigned count;
    size_t at;     /* octets of the first that are sent */
    size_t octets; /* waiting in all */
    bool is_suspended;
    bool is_cut; /* it did not keep up */
};

struct web_streams {
    struct web_view *view;
    struct web_live live;
    struct stream *first;
    unsigned count;
    int64_t ticked_ns;
    int64_t told_ns;
    uint64_t last_seq; /* of the lines of history told */
    bool is_ending;
};

/* ---- events ---- */

/* HEAD, "data: ", JSON and an empty line. Takes the JSON over; one holder. */
static struct event *
make(const char *head, char *json, size_t len)
{
    struct event *e = ctl_memory(NULL, sizeof *e);
    size_t room = strlen(head) + len + sizeof "data: \n\n";
    struct bk_text text;

    *e = (struct event){.holders = 1, .text = ctl_memory(NULL, room)};
    bk_text_init(&text, e->text, room);
    bk_text_put(&text, head);
    bk_text_put(&text, "data: ");
    bk_text_put_n(&text, json, len);
    bk_text_put(&text, "\n\n");
    e->len = text.len;
    free(json);
    return e;
}

static struct event *
make_state(char *json, size_t len)
{
    return make("event: state\n", json, len);
}

/* A browser that comes back says the last id it saw. */
static struct event *
make_transition(const struct bk_past *line)
{
    struct document *d = document_new();
    char head[64];
    struct bk_text text;
    size_t len;
    char *json;

    bk_text_init(&text, head, sizeof head);
    bk_text_put(&text, "event: transition\nid: ");
    bk_text_put_u64(&text, line->seq);
    bk_text_put_char(&text, '\n');
    bk_past_row(&d->json, line);
    json = document_text(d, &len);
    return make(head, json, len);
}

static void
let_go(struct event *e)
{
    if (--e->holders == 0) {
        free(e->text);
        free(e);
    }
}

static void
wake(struct stream *s)
{
    if (s->is_suspended)
        MHD_resume_connection(s->connection);
    s->is_suspended = false;
}

static void
cut(struct stream *s)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    s->is_cut = true;
    if (info != NULL)
        shutdown(info->connect_fd, SHUT_RDWR);
    wake(s);
}

static void
tell(struct stream *s, struct event *e)
{
    if (s->is_cut)
        return;
    if (s->count == WAITING_MAX || s->octets + e->len > WAITING_OCTETS_MAX) {
        cut(s);
        return;
    }
    e->holders++;
    s->waiting[(s->first + s->count++) % WAITING_MAX] = e;
    s->octets += e->len;
    wake(s);
}

static void
tell_all(struct web_streams *all, struct event *e)
{
    for (struct stream *s = all->first; s != NULL; s = s->next)
        tell(s, e);
    let_go(e);
}

/* ---- one stream, as libmicrohttpd sees it ---- */

static void
drop_first(struct stream *s)
{
    struct event *e = s->waiting[s->first];

    s->octets -= e->len;
    s->first = (s->first + 1) % WAITING_MAX;
    s->count--;
    s->at = 0;
    let_go(e);
}

static ssize_t
give(void *context, uint64_t position, char *out, size_t room)
{
    struct stream *s = context;
    struct event *e = s->waiting[s->first];
    size_t len;

    (void)position;
    if (s->is_cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (s->count == 0 && s->all->is_ending)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (s->count == 0) {
        s->is_suspended = true;
        MHD_suspend_connection(s->connection);
        return 0;
    }
    len = e->len - s->at < room ? e->len - s->at : room;
    memcpy(out, e->text + s->at, len);
    s->at += len;
    if (s->at == e->len)
        drop_first(s);
    return (ssize_t)len;
}

static void
forget(void *context)
{
    struct stream *s = context;
    struct stream **at = &s->all->first;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->all->count--;
    while (s->count > 0)
        drop_first(s);
    free(s);
}

/* The number of the newest line of history; 0 without one. */
static uint64_t
newest(struct web_view *w)
{
    const struct view *v = web_view_now(w);
    struct bk_past lines[BK_PAST_COUNT];
    size_t count = v != NULL ? past_read(v, lines) : 0;

    return count > 0 ? lines[count - 1].seq : 0;
}

/* Lines that were told to others since `last_id`. */
static void
tell_missed(struct stream *s, uint64_t last_id)
{
    const struct view *v = web_view_now(s->all->view);
    struct bk_past lines[BK_PAST_COUNT];
    size_t count = v != NULL ? past_read(v, lines) : 0;
    size_t first = count > MISSED_MAX ? count - MISSED_MAX : 0;

    for (size_t i = first; i < count; i++) {
        if (lines[i].seq > last_id && lines[i].seq <= s->all->last_seq) {
            struct event *e = make_transition(&lines[i]);

            tell(s, e);
            let_go(e);
        }
    }
}

struct MHD_Response *
web_streams_open(struct web_streams *all, struct MHD_Connection *c,
                 uint64_t last_id)
{
    struct stream *s;
    struct MHD_Response *r;
    struct event *e;
    size_t len;
    char *json;

    if (all->count == WEB_STREAMS_MAX || all->is_ending)
        return NULL;
    s = ctl_memory(NULL, sizeof *s);
    *s = (struct stream){.next = all->first, .all = all, .connection = c};
    r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, give, s,
                                          forget);
    if (r == NULL) {
        free(s);
        return NULL;
    }
    all->first = s;
    all->count++;
    if (all->count == 1)
        all->last_seq = newest(all->view);
    json = web_live_all(all->view, &len);
    e = make_state(json, len);
    tell(s, e);
    let_go(e);
    if (last_id > 0)
        tell_missed(s, last_id);
    return r;
}

/* ---- all streams ---- */

struct web_streams *
web_streams_new(struct web_view *view)
{
    struct web_streams *s = calloc(1, sizeof *s);

    if (s != NULL)
        s->view = view;
    return s;
}

void
web_streams_free(struct web_streams **s)
{
    if (*s == NULL)
        return;
    web_live_free(&(*s)->live);
    free(*s);
    *s = NULL;
}

/* Lines of history that are new. One number after the other: a file that was
 * begun anew counts from its own beginning. */
static void
tell_lines(struct web_streams *all)
{
    const struct view *v = web_view_now(all->view);
    struct bk_past lines[BK_PAST_COUNT];
    size_t count = v != NULL ? past_read(v, lines) : 0;
    uint64_t last = count > 0 ? lines[count - 1].seq : 0;
    size_t first = count > MISSED_MAX ? count - MISSED_MAX : 0;

    for (size_t i = first; i < count; i++) {
        if (lines[i].seq > all->last_seq)
            tell_all(all, make_transition(&lines[i]));
    }
    all->last_seq = last;
}

void
web_streams_tick(struct web_streams *all)
{
    int64_t now_ns = web_clock_ns();
    bool has_news;
    size_t len;
    char *json;

    if (all->first == NULL || now_ns - all->ticked_ns < TICK_NS)
        return;
    all->ticked_ns = now_ns;
    json = web_live_changes(&all->live, all->view, &len, &has_news);
    if (has_news || now_ns - all->told_ns >= TELL_NS) {
        all->told_ns = now_ns;
        tell_all(all, make_state(json, len));
    } else {
        free(json);
    }
    tell_lines(all);
}

int
web_streams_timeout_ms(const struct web_streams *all)
{
    int64_t left_ns = all->ticked_ns + TICK_NS - web_clock_ns();

    if (all->first == NULL)
        return -1;
    return left_ns > 0 ? (int)bk_ms_up(left_ns) : 0;
}

void
web_streams_end(struct web_streams *all)
{
    all->is_ending = true;
    for (struct stream *s = all->first; s != NULL; s = s->next)
        wake(s);
}

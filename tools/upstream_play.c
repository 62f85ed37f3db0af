/* SPDX-License-Identifier: Apache-2.0
 *
 * Plays the script of flaky-upstream. Which phase a request meets is settled
 * when the request is there whole. */
#include "tools/upstream_play.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A request left hanging is given up after this long. */
#define HANG_NS (60 * BK_NS_PER_S)

void
upstream_play_start(struct upstream_play *play, int64_t now_ns)
{
    upstream_tally_restart(&play->tally);
    play->share_sum_ppm = 0;
    play->started_ns = now_ns;
    play->phase = upstream_script_at(&play->script, 0, &play->phase_ends_ns);
}

bool
upstream_play_follow(struct upstream_play *play, int64_t now_ns)
{
    const int64_t elapsed_ns = now_ns - play->started_ns;

    if (elapsed_ns < play->phase_ends_ns) {
        return false;
    }
    upstream_play_save(play, now_ns);
    play->phase =
        upstream_script_at(&play->script, elapsed_ns, &play->phase_ends_ns);
    play->share_sum_ppm = 0;
    return true;
}

bool
upstream_play_refuses(const struct upstream_play *play)
{
    return play->script.phases[play->phase].kind == UPSTREAM_REFUSE;
}

static bool
write_file(const char *path, const char *body, size_t len)
{
    char fresh[4096];
    bool is_good = false;

    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "we");
    if (file == NULL) {
        return false;
    }
    is_good = fwrite(body, 1, len, file) == len;
    is_good = fclose(file) == 0 && is_good;
    return is_good && rename(fresh, path) == 0;
}

void
upstream_play_save(struct upstream_play *play, int64_t now_ns)
{
    char body[UPSTREAM_TALLY_BYTES];
    struct bk_text text;

    if (play->stats_path == NULL) {
        return;
    }
    bk_text_init(&text, body, sizeof body);
    upstream_tally_print(&play->tally, &play->script, now_ns - play->started_ns,
                         &text);
    bk_text_put_char(&text, '\n');
    if (!write_file(play->stats_path, body, text.len) &&
        !play->has_complained) {
        play->has_complained = true;
        fprintf(stderr, "flaky-upstream: cannot write %s: %s\n",
                play->stats_path, strerror(errno));
    }
}

/* True for the phase's share of the requests, evenly spread: no dice, so a
 * script plays the same each time. */
static bool
is_struck(struct upstream_play *play, const struct upstream_phase *phase)
{
    play->share_sum_ppm += phase->share_ppm;
    if (play->share_sum_ppm < BK_PPM) {
        return false;
    }
    play->share_sum_ppm -= BK_PPM;
    return true;
}

static struct upstream_answer
blank_answer(const struct upstream_conn *conn)
{
    return (struct upstream_answer){.status = 200,
                                    .keeps_alive = conn->keeps_alive,
                                    .is_head =
                                        strcmp(conn->method, "HEAD") == 0,
                                    .retry_after_s = -1,
                                    .retry_after_at = -1,
                                    .type = "text/plain"};
}

static void
answer_by_status(const struct upstream_play *play,
                 const struct upstream_phase *phase, bool is_struck_now,
                 struct upstream_conn *conn, int64_t now_ns)
{
    struct upstream_answer answer = blank_answer(conn);

    if (is_struck_now) {
        answer.status = phase->status;
        answer.retry_after_s = phase->retry_after_s;
        if (phase->is_retry_after_date) {
            answer.retry_after_at = (int64_t)time(NULL) + phase->retry_after_s;
        }
    }
    if (answer.status != 204 && answer.status != 304) { /* those have none */
        answer.body = answer.status < 400 ? "fine\n" : "failed\n";
        answer.body_len = strlen(answer.body);
    }
    const int64_t latency_ns =
        phase->latency_ns >= 0 ? phase->latency_ns : play->latency_ns;
    upstream_conn_answer(conn, &answer, bk_after(now_ns, latency_ns));
}

void
upstream_play_answer(struct upstream_play *play, struct upstream_conn *conn,
                     int64_t now_ns)
{
    const struct upstream_phase *phase = &play->script.phases[play->phase];
    const bool is_struck_now = is_struck(play, phase);
    const enum upstream_kind kind = is_struck_now ? phase->kind : UPSTREAM_OK;

    upstream_tally_hit(&play->tally, play->phase, kind);
    switch (kind) {
    case UPSTREAM_OK:
    case UPSTREAM_STATUS:
        answer_by_status(play, phase, is_struck_now, conn, now_ns);
        break;
    case UPSTREAM_HANG:
        conn->state = UPSTREAM_CONN_HANGING;
        conn->due_ns = now_ns + HANG_NS;
        break;
    case UPSTREAM_RESET:
    case UPSTREAM_REFUSE:
    case UPSTREAM_KIND_COUNT:
    default:
        conn->state = UPSTREAM_CONN_BROKEN;
        conn->is_cut = true;
        break;
    }
}

/* Puts a new script in place; false with the reason in `why`. */
static bool
replace_script(struct upstream_play *play, const struct upstream_conn *conn,
               struct bk_text *why)
{
    static struct upstream_script script; /* large for a stack */

    if (!upstream_script_parse(conn->body, conn->body_len, &script, why)) {
        bk_text_put_char(why, '\n');
        return false;
    }
    play->script = script;
    return true;
}

/* The status of the answer, its body in `body`. */
static unsigned
obey(struct upstream_play *play, const struct upstream_conn *conn,
     int64_t now_ns, struct bk_text *body)
{
    const bool is_script = strcmp(conn->path, "/script") == 0;

    if (strcmp(conn->path, "/stats") == 0) {
        upstream_tally_print(&play->tally, &play->script,
                             now_ns - play->started_ns, body);
        bk_text_put_char(body, '\n');
        return 200;
    }
    if (!is_script && strcmp(conn->path, "/start") != 0) {
        bk_text_put(body, "there are /stats, /start and /script\n");
        return 404;
    }
    if (strcmp(conn->method, "POST") != 0) {
        bk_text_put(body, "use POST\n");
        return 405;
    }
    if (is_script && !replace_script(play, conn, body)) {
        return 400;
    }
    upstream_play_start(play, now_ns);
    bk_text_put(body, "started\n");
    return 200;
}

bool
upstream_play_control(struct upstream_play *play, struct upstream_conn *conn,
                      int64_t now_ns)
{
    struct upstream_answer answer = blank_answer(conn);
    char body[UPSTREAM_TALLY_BYTES];
    struct bk_text text;

    bk_text_init(&text, body, sizeof body);
    answer.status = obey(play, conn, now_ns, &text);
    answer.type = body[0] == '{' ? "application/json" : "text/plain";
    answer.body = body;
    answer.body_len = text.len;
    upstream_conn_answer(conn, &answer, now_ns);
    return answer.status == 200 && body[0] != '{';
}

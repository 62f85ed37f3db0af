/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/options.h"
#include "client/client.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What one chooses from; the first word is the default. */
struct choice {
    const char *variable;
    const char *accepted; /* for people */
    const char *words[3];
    uint32_t count;
};

static const struct choice modes = {
    "BREAKERD_MODE", "auto, zmq, local", {"auto", "zmq", "local"}, 3};
static const struct choice fails = {
    "BREAKERD_FAIL", "local, open, closed", {"local", "open", "closed"}, 3};
static const struct choice rings = {
    "BREAKERD_RING", "on, off", {"on", "off"}, 2};
static const struct choice transports = {
    "BREAKERD_TRANSPORT", "zmtp, libzmq", {"zmtp", "libzmq"}, 2};

/* The number of the environment's word, from 1; 0: not set, -1: none of them. */
static int
look_up(const struct choice *choice)
{
    const char *text = secure_getenv(choice->variable);

    if (text == NULL)
        return 0;
    for (uint32_t i = 0; i < choice->count; i++) {
        if (strcmp(text, choice->words[i]) == 0)
            return (int)i + 1;
    }
    return -1;
}

/* `value` 0: from the environment, else the first word. A value of the
 * environment that is none is no reason to fail a host that did not choose it. */
static bool
choose(uint32_t *value, const char *option, const struct choice *choice)
{
    int word;

    if (*value > choice->count) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT, option,
                          " is no value of its enum", "");
        return false;
    }
    if (*value != 0)
        return true;
    word = look_up(choice);
    *value = word > 0 ? (uint32_t)word : 1;
    return true;
}

bool
options_complete(const struct breaker_options *given,
                 struct breaker_options *full)
{
    static const struct breaker_options none = BREAKER_OPTIONS_INIT;
    size_t size;

    if (given == NULL)
        given = &none;
    size = given->size;
    /* The first version ends with log_context. */
    if (size < sizeof none) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT,
                          "options.size is not set: use BREAKER_OPTIONS_INIT",
                          "", "");
        return false;
    }
    *full = *given;
    full->size = sizeof *full;
    if (full->deadline_ms == 0)
        full->deadline_ms = BREAKER_DEADLINE_MS;
    if (full->deadline_ms > BREAKER_DEADLINE_MAX_MS) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT,
                          "options.deadline_ms is over a minute", "", "");
        return false;
    }
    if ((full->flags & ~BREAKER_TELL_LATER) != 0) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT,
                          "options.flags: there is only BREAKER_TELL_LATER", "",
                          "");
        return false;
    }
    return choose(&full->mode, "options.mode", &modes) &&
           choose(&full->fail, "options.fail", &fails);
}

void
options_worker_name(const char *given, char out[BK_WORKER_SIZE])
{
    const char *from = given != NULL ? given : program_invocation_short_name;
    size_t len = 0;

    for (; *from != '\0' && len < BK_WORKER_SIZE - 1; from++) {
        bool is_graphic = *from > ' ' && *from < 0x7f;

        out[len] = '_';
        if (is_graphic)
            out[len] = *from;
        len++;
    }
    if (len == 0)
        out[len++] = '-';
    out[len] = '\0';
}

static void
warn(struct breaker *b, const char *a, const char *name, const char *c)
{
    char sentence[LOG_SIZE];
    struct bk_text text;

    bk_text_init(&text, sentence, sizeof sentence);
    bk_text_put(&text, a);
    bk_text_put(&text, name);
    bk_text_put(&text, c);
    log_say(b, BREAKER_LOG_WARNING, sentence);
}

static void
check(struct breaker *b, const struct choice *choice)
{
    if (look_up(choice) < 0)
        warn(b, choice->variable, " is ignored: it is none of ",
             choice->accepted);
}

void
options_environment(struct breaker *b)
{
    char why[256];
    struct bk_text error;

    check(b, &modes);
    check(b, &fails);
    check(b, &rings);
    check(b, &transports);
    b->has_rings = b->mode == BREAKER_MODE_AUTO && look_up(&rings) != 2;
    b->transport =
        look_up(&transports) == 2 ? &transport_libzmq : &transport_zmtp;
    for (size_t row = 0; row < bk_env_count(); row++) {
        const char *value = secure_getenv(bk_env_name(row));

        bk_text_init(&error, why, sizeof why);
        if (value != NULL &&
            !bk_layer_set_env(&b->environment, row, value, &error))
            warn(b, why, " (ignored without a daemon)", "");
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/options.h"
#include "client/client.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first word is the default. */
static const char *const mode_words[] = {"auto", "zmq", "local"};
static const char *const fail_words[] = {"local", "open", "closed"};
#define WORDS 3

/* `value` 0: from the environment, else the first word. A value of the
 * environment that is none is no reason to fail a host that did not choose it. */
static bool
choose(uint32_t *value, const char *option, const char *variable,
       const char *const words[WORDS])
{
    const char *text;

    if (*value > WORDS) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT, option,
                          " is no value of its enum", "");
        return false;
    }
    if (*value != 0)
        return true;
    *value = 1;
    text = secure_getenv(variable);
    for (uint32_t i = 0; text != NULL && i < WORDS; i++) {
        if (strcmp(text, words[i]) == 0)
            *value = i + 1;
    }
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
    if ((full->flags & ~(BREAKER_TELL_LATER | BREAKER_TELL_TOGETHER)) != 0 ||
        full->flags == BREAKER_TELL_TOGETHER) {
        (void)client_fail(BREAKER_ERROR_ARGUMENT,
                          "options.flags is BREAKER_TELL_LATER, and "
                          "BREAKER_TELL_TOGETHER with it",
                          "", "");
        return false;
    }
    return choose(&full->mode, "options.mode", "BREAKERD_MODE", mode_words) &&
           choose(&full->fail, "options.fail", "BREAKERD_FAIL", fail_words);
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
check_words(struct breaker *b, const char *variable,
            const char *const words[WORDS], const char *accepted)
{
    const char *text = secure_getenv(variable);

    if (text == NULL)
        return;
    for (uint32_t i = 0; i < WORDS; i++) {
        if (strcmp(text, words[i]) == 0)
            return;
    }
    warn(b, variable, " is ignored: it is none of ", accepted);
}

void
options_environment(struct breaker *b)
{
    char why[256];
    struct bk_text error;

    check_words(b, "BREAKERD_MODE", mode_words, "auto, zmq, local");
    check_words(b, "BREAKERD_FAIL", fail_words, "local, open, closed");
    for (size_t row = 0; row < bk_env_count(); row++) {
        const char *value = secure_getenv(bk_env_name(row));

        bk_text_init(&error, why, sizeof why);
        if (value != NULL &&
            !bk_layer_set_env(&b->environment, row, value, &error))
            warn(b, why, " (ignored without a daemon)", "");
    }
}

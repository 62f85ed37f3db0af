/* SPDX-License-Identifier: Apache-2.0 */
#include "configs.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char directory[64];
char path[96];
char words[1024];

static const char *const variables[] = {
    "CIRCUIT_BREAKER_THRESHOLD",
    "CIRCUIT_BREAKER_TIMEOUT",
    "CIRCUIT_BREAKER_SUCCESS_THRESHOLD",
    "RETRY_MAX_ATTEMPTS",
    "LLM_RETRY_ATTEMPTS",
    "RETRY_BASE_DELAY",
    "LLM_RETRY_MIN_WAIT",
    "RETRY_MAX_DELAY",
    "LLM_RETRY_MAX_WAIT",
    "LLM_RETRY_MULTIPLIER",
};

void
write_file(const char *octets, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(octets, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

void
write_text(const char *text)
{
    write_file(text, strlen(text));
}

int
begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(variables); i++)
        unsetenv(variables[i]);
    strcpy(directory, "/tmp/test_config.XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/b.conf", directory);
    return 0;
}

int
end(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

struct config *
open_path(const char *file)
{
    struct bk_text error;

    bk_text_init(&error, words, sizeof words);
    return config_open(file, &error);
}

struct config *
good(const char *text)
{
    struct config *c;

    write_text(text);
    c = open_path(path);
    if (c == NULL)
        fail_msg("refused: %s", words);
    assert_string_equal(words, "");
    return c;
}

void
assert_refused(const char *sentence)
{
    size_t len = strlen(path);

    assert_int_equal(strncmp(words, path, len), 0);
    assert_string_equal(words + len, sentence);
}

void
bad(const char *text, const char *sentence)
{
    struct config *c;

    write_text(text);
    c = open_path(path);
    if (c != NULL)
        fail_msg("taken though bad: %s", text);
    assert_refused(sentence);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A chat bot: each line of standard input is a question, answered by the first
 * model that can, as a stream. When none can, the last good answer to the same
 * question is given, and says how old it is; when there is none, a sentence.
 *
 *     chat-bot answers.db gpt-4=https://... ollama=http://localhost:11434/...
 *
 * The models are tried in this order: the next one when a model's circuit is
 * open, when its retries are used up, or when it fails in a way that nobody
 * expected. */
#include <breaker/cache.h>
#include <breaker/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODELS_MAX BREAKER_CHAIN_MAX
#define QUESTION_SIZE 4096
#define ANSWER_SIZE 65536
/* Nobody waits longer for an answer to begin. */
#define DEADLINE_MS 60000

struct bot {
    struct breaker *breaker;
    struct breaker_cache *cache;
    CURL *easy;
    struct breaker_service *models[MODELS_MAX];
    const char *urls[MODELS_MAX];
    size_t model_count;
    char question[QUESTION_SIZE];
    char request[2 * QUESTION_SIZE + 256];
    char answer[ANSWER_SIZE]; /* what came so far, for the cache */
    size_t answer_len;
};

/* Writes `text` as the inside of a JSON string. */
static size_t
quote(char *to, size_t room, const char *text)
{
    size_t len = 0;

    for (; *text != '\0' && len + 2 < room; text++) {
        if (*text == '"' || *text == '\\')
            to[len++] = '\\';
        to[len++] = (unsigned char)*text < ' ' ? ' ' : *text;
    }
    to[len] = '\0';
    return len;
}

/* The same question, for another model: its URL and its name. */
static int
rebuild(void *context, struct breaker_service *service)
{
    struct bot *bot = context;
    char question[2 * QUESTION_SIZE];

    for (size_t i = 0; i < bot->model_count; i++) {
        if (bot->models[i] != service)
            continue;
        quote(question, sizeof question, bot->question);
        snprintf(bot->request, sizeof bot->request,
                 "{\"model\":\"%s\",\"stream\":true,\"messages\":"
                 "[{\"role\":\"user\",\"content\":\"%s\"}]}",
                 breaker_service_name(service), question);
        curl_easy_setopt(bot->easy, CURLOPT_URL, bot->urls[i]);
        curl_easy_setopt(bot->easy, CURLOPT_POSTFIELDS, bot->request);
        return 0;
    }
    return -1;
}

/* Octets of the answer, as they come. What a model sends in place of an answer is
 * not for the user. */
static size_t
show(char *data, size_t size, size_t count, void *context)
{
    struct bot *bot = context;
    size_t len = size * count;
    long status = 0;

    curl_easy_getinfo(bot->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 400)
        return len;
    fwrite(data, 1, len, stdout);
    fflush(stdout);
    if (len <= sizeof bot->answer - bot->answer_len) {
        memcpy(bot->answer + bot->answer_len, data, len);
        bot->answer_len += len;
    } else {
        bot->answer_len = sizeof bot->answer + 1; /* too long to be kept */
    }
    return len;
}

/* No model could: why, from each of them, and when it may be worth while. */
static void
excuse(const struct breaker_summary *told)
{
    for (uint32_t i = 0; i < told->failure_count; i++) {
        const struct breaker_failure *f = &told->failures[i];

        fprintf(stderr, "%s: %s %s\n", breaker_service_name(f->service),
                f->attempts > 0 ? f->result.text
                                : breaker_reason_name((int)f->reason),
                breaker_stop_name((int)f->stop));
    }
    printf("Sorry, I cannot answer now.");
    if (told->retry_after_ms > 0)
        printf(" Ask me again in %d s.",
               (int)(told->retry_after_ms / 1000 + 1));
    printf("\n");
}

static void
answer(struct bot *bot)
{
    struct breaker_call_options call = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_curl_options how = BREAKER_CURL_OPTIONS_INIT;
    struct breaker_summary told = BREAKER_SUMMARY_INIT;
    struct breaker_cache_answer old = BREAKER_CACHE_ANSWER_INIT;
    size_t len = strlen(bot->question);
    int stop;

    call.preset = BREAKER_STREAMING;
    call.deadline_ms = DEADLINE_MS;
    call.on_deny = BREAKER_ON_DENY_FAIL; /* rather another model than to wait */
    call.services = bot->models;
    call.service_count = bot->model_count;
    call.rebuild = rebuild;
    call.context = bot;
    how.call = &call;
    how.write = show;
    how.write_data = bot;
    bot->answer_len = 0;
    stop = breaker_curl_perform(bot->models[0], bot->easy, &how, &told);
    if (stop == BREAKER_STOP_SUCCESS) {
        printf("\n");
        if (bot->answer_len <= sizeof bot->answer)
            breaker_cache_put(bot->cache, bot->question, len, bot->answer,
                              bot->answer_len, 0);
    } else if (stop > 0 &&
               breaker_cache_fallback(bot->cache, bot->question, len,
                                      BREAKER_CACHE_ANY, &told, &old) == 1) {
        printf("%s\n(This answer is %d s old.)\n", old.data,
               (int)(told.age_ms / 1000));
    } else {
        excuse(&told);
    }
    fflush(stdout);
    breaker_cache_answer_free(&old);
}

/* "gpt-4=https://..." */
static int
add_model(struct bot *bot, char *word)
{
    char *equals = strchr(word, '=');

    if (equals == NULL || bot->model_count == MODELS_MAX)
        return -1;
    *equals = '\0';
    bot->models[bot->model_count] = breaker_service(bot->breaker, word);
    bot->urls[bot->model_count] = equals + 1;
    return bot->models[bot->model_count++] != NULL ? 0 : -1;
}

int
main(int argc, char **argv)
{
    static struct bot bot;
    int status = 2;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    bot.breaker = breaker_open(NULL);
    bot.easy = curl_easy_init();
    if (argc < 3 || bot.breaker == NULL || bot.easy == NULL) {
        fprintf(stderr, "usage: chat-bot CACHE MODEL=URL...\n");
        goto out;
    }
    bot.cache = breaker_cache_open(argv[1], NULL);
    for (int i = 2; i < argc; i++) {
        if (add_model(&bot, argv[i]) != 0) {
            fprintf(stderr, "\"%s\" is no MODEL=URL\n", argv[i]);
            goto out;
        }
    }
    while (fgets(bot.question, sizeof bot.question, stdin) != NULL) {
        bot.question[strcspn(bot.question, "\n")] = '\0';
        answer(&bot);
    }
    status = 0;
out:
    breaker_cache_close(&bot.cache);
    curl_easy_cleanup(bot.easy);
    breaker_close(&bot.breaker);
    curl_global_cleanup();
    return status;
}

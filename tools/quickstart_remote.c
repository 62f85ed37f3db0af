/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to the control port of flaky-upstream, one after the other. */
#include "tools/quickstart_remote.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 2000L

static size_t
keep(char *data, size_t size, size_t count, void *context)
{
    bk_text_put_n(context, data, size * count);
    return size * count;
}

/* The status of the answer, 0 when there was none. */
static long
ask(const char *control, const char *path, const char *body,
    struct bk_text *answer)
{
    char url[256];
    long status = 0;
    CURL *request = curl_easy_init();

    if (request == NULL) {
        return 0;
    }
    snprintf(url, sizeof url, "%s%s", control, path);
    (void)curl_easy_setopt(request, CURLOPT_URL, url);
    (void)curl_easy_setopt(request, CURLOPT_TIMEOUT_MS, PATIENCE_MS);
    (void)curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(request, CURLOPT_PROXY, ""); /* loopback: none */
    (void)curl_easy_setopt(request, CURLOPT_WRITEFUNCTION, keep);
    (void)curl_easy_setopt(request, CURLOPT_WRITEDATA, answer);
    if (body != NULL) {
        (void)curl_easy_setopt(request, CURLOPT_POSTFIELDS, body);
    }
    if (curl_easy_perform(request) == CURLE_OK) {
        (void)curl_easy_getinfo(request, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_easy_cleanup(request);
    return status;
}

bool
quickstart_remote_start(const char *control, const char *script)
{
    char said[256];
    struct bk_text answer;

    bk_text_init(&answer, said, sizeof said);
    const long status = ask(control, script != NULL ? "/script" : "/start",
                            script != NULL ? script : "", &answer);
    if (status != 200) {
        fprintf(stderr, "quickstart_worker: %s did not start its script: %s\n",
                control, status == 0 ? "no answer" : said);
    }
    return status == 200;
}

void
quickstart_remote_stats(const char *control, char *json, size_t size)
{
    struct bk_text answer;

    bk_text_init(&answer, json, size);
    if (ask(control, "/stats", NULL, &answer) != 200 || answer.is_cut) {
        json[0] = '\0';
        return;
    }
    json[strcspn(json, "\n")] = '\0';
}

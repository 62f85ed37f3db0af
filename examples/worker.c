/* SPDX-License-Identifier: Apache-2.0 */
#include <breaker/curl.h>
#include <stdio.h>

/* worker SERVICE URL: one call that waits out an outage of up to two minutes. */
int
main(int argc, char **argv)
{
    struct breaker_call_options call = BREAKER_CALL_OPTIONS_INIT;
    struct breaker_curl_options how = BREAKER_CURL_OPTIONS_INIT;
    struct breaker_summary told = BREAKER_SUMMARY_INIT;
    struct breaker *b = breaker_open(NULL);
    CURL *easy = curl_easy_init();

    if (b == NULL || easy == NULL || argc != 3)
        return 2;
    call.deadline_ms = 120000;
    how.call = &call;
    curl_easy_setopt(easy, CURLOPT_URL, argv[2]);
    if (breaker_curl_perform(breaker_service(b, argv[1]), easy, &how, &told) !=
        BREAKER_STOP_SUCCESS)
        fprintf(stderr, "503: %s, %s after %u attempts; again in %d s\n",
                told.result.text, breaker_stop_name((int)told.stop),
                (unsigned)told.attempts, (int)(told.retry_after_ms / 1000));
    curl_easy_cleanup(easy);
    breaker_close(&b);
    return told.stop == BREAKER_STOP_SUCCESS ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a call in a worker: ask -> send -> classify -> tell -> maybe wait
 * and again. */
#include "tools/quickstart_calls.h"

#include "core/backoff.h"

static void
end_call(struct quickstart_calls *calls, struct quickstart_call *call,
         bool is_ok, int64_t now_ns)
{
    struct quickstart_tally *tally = calls->tally;
    const uint64_t wait_ms = bk_ms_up(now_ns - call->began_ns);

    if (is_ok) {
        quickstart_count(&tally->ok, 1);
    } else {
        quickstart_count(&tally->failed, 1);
        quickstart_count(&tally->failed_wait_ms, wait_ms);
        if (wait_ms > quickstart_read(&tally->failed_wait_max_ms)) {
            atomic_store(&tally->failed_wait_max_ms, wait_ms);
        }
    }
    quickstart_guard_drop(calls->guard, &call->right);
    call->is_used = false;
    calls->active--;
}

static size_t
swallow(char *data, /* NOLINT(readability-non-const-parameter): curl's type */
        size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static bool
send_attempt(struct quickstart_calls *calls, struct quickstart_call *call)
{
    CURL *request = curl_easy_init();

    if (request == NULL) {
        return false;
    }
    if (curl_easy_setopt(request, CURLOPT_URL, calls->options->url) !=
            CURLE_OK ||
        curl_easy_setopt(request, CURLOPT_TIMEOUT_MS,
                         (long)(calls->options->timeout_ns / BK_NS_PER_MS)) !=
            CURLE_OK) {
        curl_easy_cleanup(request);
        return false;
    }
    (void)curl_easy_setopt(request, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(request, CURLOPT_PROXY, ""); /* loopback: none */
    (void)curl_easy_setopt(request, CURLOPT_WRITEFUNCTION, swallow);
    (void)curl_easy_setopt(request, CURLOPT_PRIVATE, (void *)call);
    if (curl_multi_add_handle(calls->multi, request) != CURLM_OK) {
        curl_easy_cleanup(request);
        return false;
    }
    call->request = request;
    quickstart_count(&calls->tally->attempts, 1);
    return true;
}

/* Denied: wait for the circuit as long as patience lasts. Everybody is told the
 * same instant, so the return is spread over a tenth of the wait. */
static void
wait_for_circuit(struct quickstart_calls *calls, struct quickstart_call *call,
                 int64_t wait_ns, int64_t now_ns)
{
    wait_ns += bk_random_share(&calls->random, wait_ns / 10);
    if (now_ns + wait_ns > call->began_ns + calls->options->patience_ns) {
        if (call->attempt == 1) {
            quickstart_count(&calls->tally->failed_denied, 1);
        }
        end_call(calls, call, false, now_ns);
        return;
    }
    call->due_ns = now_ns + wait_ns;
}

static void
try_attempt(struct quickstart_calls *calls, struct quickstart_call *call,
            int64_t now_ns)
{
    int64_t delay_ns = 0;

    if (!quickstart_guard_ask(calls->guard, &call->right, &delay_ns)) {
        wait_for_circuit(calls, call, delay_ns, now_ns);
    } else if (!send_attempt(calls, call)) {
        (void)quickstart_guard_tell(calls->guard, &call->right,
                                    calls->options->attempts, BREAKER_CANCELLED,
                                    -1, 0, &delay_ns);
        end_call(calls, call, false, now_ns);
    }
}

static enum breaker_outcome
classify(CURLcode code, long status)
{
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return BREAKER_TIMEOUT;
    }
    if (code != CURLE_OK || status >= 500) {
        return BREAKER_FAILURE;
    }
    if (status == 429) {
        return BREAKER_RATE_LIMITED;
    }
    if (status == 401 || status == 403) {
        return BREAKER_CRITICAL;
    }
    return status >= 400 ? BREAKER_REJECTED : BREAKER_SUCCESS;
}

static void
finish_attempt(struct quickstart_calls *calls, struct quickstart_call *call,
               CURLcode code, int64_t now_ns)
{
    long status = 0;
    curl_off_t latency_us = 0;
    curl_off_t retry_after_s = 0;
    int64_t delay_ns = 0;

    (void)curl_easy_getinfo(call->request, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->request, CURLINFO_TOTAL_TIME_T, &latency_us);
    (void)curl_easy_getinfo(call->request, CURLINFO_RETRY_AFTER,
                            &retry_after_s);
    (void)curl_multi_remove_handle(calls->multi, call->request);
    curl_easy_cleanup(call->request);
    call->request = NULL;
    const enum breaker_outcome outcome = classify(code, status);
    if (quickstart_guard_tell(calls->guard, &call->right, call->attempt,
                              outcome, (int64_t)latency_us,
                              (uint64_t)retry_after_s * 1000, &delay_ns)) {
        call->attempt++;
        call->due_ns = now_ns + delay_ns;
    } else {
        end_call(calls, call, outcome == BREAKER_SUCCESS, now_ns);
    }
}

bool
quickstart_calls_init(struct quickstart_calls *calls,
                      const struct quickstart_options *options,
                      struct quickstart_guard *guard,
                      struct quickstart_tally *tally, uint64_t seed)
{
    calls->options = options;
    calls->guard = guard;
    calls->tally = tally;
    calls->random = seed;
    calls->active = 0;
    calls->multi = curl_multi_init();
    return calls->multi != NULL;
}

void
quickstart_calls_fini(struct quickstart_calls *calls)
{
    for (size_t i = 0; i < QUICKSTART_CALLS; i++) {
        if (calls->calls[i].request != NULL) {
            (void)curl_multi_remove_handle(calls->multi,
                                           calls->calls[i].request);
            curl_easy_cleanup(calls->calls[i].request);
        }
    }
    (void)curl_multi_cleanup(calls->multi);
}

void
quickstart_calls_begin(struct quickstart_calls *calls, int64_t now_ns)
{
    quickstart_count(&calls->tally->calls, 1);
    for (size_t i = 0; i < QUICKSTART_CALLS; i++) {
        struct quickstart_call *call = &calls->calls[i];
        if (!call->is_used) {
            *call = (struct quickstart_call){.began_ns = now_ns,
                                             .due_ns = now_ns,
                                             .attempt = 1,
                                             .is_used = true};
            calls->active++;
            try_attempt(calls, call, now_ns);
            return;
        }
    }
    quickstart_count(&calls->tally->shed, 1);
    quickstart_count(&calls->tally->failed, 1);
}

void
quickstart_calls_step(struct quickstart_calls *calls, int64_t now_ns)
{
    const CURLMsg *message = NULL;
    void *call = NULL;
    int left = 0;

    (void)curl_multi_perform(calls->multi, &left);
    while ((message = curl_multi_info_read(calls->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call) ==
                CURLE_OK) {
            finish_attempt(calls, call, message->data.result, now_ns);
        }
    }
    for (size_t i = 0; i < QUICKSTART_CALLS; i++) {
        struct quickstart_call *waiting = &calls->calls[i];
        if (waiting->is_used && waiting->request == NULL &&
            waiting->due_ns <= now_ns) {
            try_attempt(calls, waiting, now_ns);
        }
    }
}

int64_t
quickstart_calls_deadline(const struct quickstart_calls *calls)
{
    int64_t due_ns = BK_NEVER;

    for (size_t i = 0; i < QUICKSTART_CALLS; i++) {
        const struct quickstart_call *call = &calls->calls[i];
        if (call->is_used && call->request == NULL && call->due_ns < due_ns) {
            due_ns = call->due_ns;
        }
    }
    return due_ns;
}

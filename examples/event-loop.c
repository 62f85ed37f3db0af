/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker with one thread and many calls: each line of standard input is
 * "SERVICE URL", fetched at once, while more lines are read. Two descriptors are
 * waited for, so this goes into any event loop.
 *
 *     event-loop < list */
#include <breaker/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE 4096
#define TICK_MS 1000
#define DEADLINE_MS 30000

/* One job under way. */
struct job {
    char line[LINE_SIZE]; /* the service, NUL, the URL */
    size_t octets;
};

struct loop {
    struct breaker *breaker;
    struct breaker_curl_multi *multi;
    char input[LINE_SIZE]; /* what was read and is not yet a line */
    size_t input_len;
};

static size_t
count(char *data, size_t size, size_t number, void *context)
{
    struct job *job = context;

    (void)data;
    job->octets += size * number;
    return size * number;
}

static void
done(void *context, CURL *easy, const struct breaker_summary *told)
{
    struct job *job = context;

    printf("%s: %s, %zu octets, %u attempts, %d ms\n", job->line,
           breaker_stop_name((int)told->stop), job->octets,
           (unsigned)told->attempts, (int)(told->elapsed_us / 1000));
    fflush(stdout);
    curl_easy_cleanup(easy);
    free(job);
}

/* Begins the job that this line names. */
static void
begin(struct loop *loop, const char *line)
{
    static const struct breaker_call_options call = {
        .size = sizeof call, .deadline_ms = DEADLINE_MS};
    struct breaker_curl_options how = BREAKER_CURL_OPTIONS_INIT;
    struct job *job = calloc(1, sizeof *job);
    CURL *easy = curl_easy_init();
    struct breaker_service *service;
    char *space = NULL;

    if (job != NULL) {
        strcpy(job->line, line); /* both have LINE_SIZE */
        space = strchr(job->line, ' ');
    }
    if (space == NULL || easy == NULL) {
        fprintf(stderr, "\"%s\" is no SERVICE URL\n", line);
        goto refuse;
    }
    *space = '\0';
    service = breaker_service(loop->breaker, job->line);
    curl_easy_setopt(easy, CURLOPT_URL, space + 1);
    how.call = &call;
    how.write = count;
    how.write_data = job;
    if (service != NULL && breaker_curl_multi_add(loop->multi, service, easy,
                                                  &how, done, job) == 0)
        return;
    fprintf(stderr, "%s: %s\n", job->line, breaker_error_text());
refuse:
    curl_easy_cleanup(easy);
    free(job);
}

/* Takes what is there on standard input; false at its end. */
static int
read_jobs(struct loop *loop)
{
    ssize_t got = read(STDIN_FILENO, loop->input + loop->input_len,
                       sizeof loop->input - 1 - loop->input_len);
    char *line = loop->input;
    char *end;

    if (got <= 0)
        return 0;
    loop->input_len += (size_t)got;
    loop->input[loop->input_len] = '\0';
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        begin(loop, line);
        line = end + 1;
    }
    loop->input_len = strlen(line);
    memmove(loop->input, line, loop->input_len + 1);
    return loop->input_len < sizeof loop->input - 1; /* else no line at all */
}

int
main(void)
{
    static struct loop loop;
    int is_reading = 1;
    int left = 0;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    loop.breaker = breaker_open(NULL);
    loop.multi = breaker_curl_multi_new();
    while (loop.multi != NULL && (is_reading || left > 0)) {
        struct pollfd fds[2] = {
            {.fd = breaker_curl_multi_fd(loop.multi), .events = POLLIN},
            {.fd = is_reading ? STDIN_FILENO : -1, .events = POLLIN},
        };

        poll(fds, 2, TICK_MS);
        if (fds[1].revents != 0)
            is_reading = read_jobs(&loop);
        left = breaker_curl_multi_run(loop.multi, 0);
    }
    breaker_curl_multi_free(&loop.multi);
    breaker_close(&loop.breaker);
    curl_global_cleanup();
    return 0;
}

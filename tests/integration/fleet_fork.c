/* SPDX-License-Identifier: Apache-2.0
 *
 * A handle opened before fork(): parent, children and grandchildren go on with
 * it, each as a worker of its own. Checks that each is answered, that permits
 * stay with whom they were given to, and that those of the dead come back.
 *
 *   fleet_fork --dir DIR [--mode auto|zmq] [--children N] */
#include "breaker/breaker.h"
#include "herd.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICE "forked"
#define CHILDREN_MAX 64
#define CALLS 20

static int
confirm(struct breaker_permit *permit, enum breaker_outcome outcome)
{
    struct breaker_details details = BREAKER_DETAILS_INIT;
    details.flags = BREAKER_CONFIRM;
    return breaker_report_with(permit, outcome, &details);
}

static struct breaker_permit
acquire(struct breaker_service *service, const char *who)
{
    struct breaker_permit permit;
    if (breaker_acquire(service, &permit) != BREAKER_ALLOWED)
        herd_fail("%s was denied: %s", who, breaker_reason_name(permit.reason));
    if (permit.id == 0 || permit.source != BREAKER_BY_DAEMON)
        herd_fail("%s was allowed by %s, not by the daemon: %s", who,
                  breaker_source_name(permit.source), breaker_error_text());
    return permit;
}

/* What a child does with the parent's handle and a copy of its permit. */
static void
live(struct breaker_service *service, struct breaker_permit inherited,
     const char *who)
{
    for (int i = 0; i < CALLS; i++) {
        struct breaker_permit permit = acquire(service, who);
        int answer = confirm(&permit, BREAKER_SUCCESS);
        if (answer != BREAKER_APPLIED)
            herd_fail("%s reported, answered %d: %s", who, answer,
                      breaker_error_text());
    }
    if (confirm(&inherited, BREAKER_FAILURE) == BREAKER_APPLIED)
        herd_fail("%s settled its parent's permit", who);
}

static void
await_good_end(pid_t pid)
{
    int status = 1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        herd_fail("a child ended with status %#x", (unsigned)status);
}

static pid_t
start_child(struct breaker_service *service, struct breaker_permit inherited)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    alarm(HERD_WAIT_MS / 1000);
    live(service, inherited, "a child");
    /* Held when it dies: must come back by itself. */
    struct breaker_permit mine = acquire(service, "a child");
    pid_t grandchild = fork();
    if (grandchild == 0) {
        alarm(HERD_WAIT_MS / 1000);
        live(service, mine, "a grandchild");
        _exit(0);
    }
    await_good_end(grandchild);
    _exit(0);
}

static void
await_permits(struct line *op, uint64_t expected)
{
    int64_t end_ns = herd_now_ns() + HERD_WAIT_MS * INT64_C(1000000);
    uint64_t out = 0;
    do {
        const char *answer = line_expect(op, "OK {", "STATUS " SERVICE);
        out = herd_number(answer, "in_use");
        if (out == expected)
            return;
        herd_sleep_until(herd_now_ns() + 5000000);
    } while (herd_now_ns() < end_ns);
    herd_fail("%llu permits are out, not %llu", (unsigned long long)out,
              (unsigned long long)expected);
}

int
main(int argc, char **argv)
{
    const char *dir = herd_option(argc, argv, "--dir", NULL);
    const char *mode = herd_option(argc, argv, "--mode", "auto");
    unsigned children =
        (unsigned)herd_option_number(argc, argv, "--children", 8);
    pid_t pids[CHILDREN_MAX];
    if (children < 1 || children > CHILDREN_MAX)
        herd_fail("--children is 1 to %d", CHILDREN_MAX);
    struct breaker_options options = BREAKER_OPTIONS_INIT;
    options.dir = dir;
    options.mode =
        strcmp(mode, "zmq") == 0 ? BREAKER_MODE_ZMQ : 0; /* environment */
    options.deadline_ms = HERD_WAIT_MS;
    struct breaker *b = breaker_open(&options);
    struct breaker_service *service = breaker_service(b, SERVICE);
    struct breaker_permit permit = acquire(service, "the parent");
    for (unsigned i = 0; i < children; i++)
        pids[i] = start_child(service, permit);
    struct breaker_permit second = acquire(service, "the parent");
    for (unsigned i = 0; i < children; i++)
        await_good_end(pids[i]);
    struct line *op = line_open(dir, "operator.sock");
    await_permits(op, 2);
    int answer = confirm(&permit, BREAKER_SUCCESS);
    if (answer != BREAKER_APPLIED)
        herd_fail("the parent reported, answered %d", answer);
    breaker_release(&second);
    await_permits(op, 0);
    answer =
        (int)herd_number(line_expect(op, "OK {", "STATUS " SERVICE), "success");
    line_close(&op);
    breaker_close(&b);
    printf("mode=%s children=%u successes=%d\n", mode, children, answer);
    return answer == (int)(2 * children * CALLS + 1) ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_stage.h"
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void
take_log(void *context, enum breaker_log_level level, const char *sentence)
{
    struct stage *s = context;
    size_t used;

    pthread_mutex_lock(&log_lock);
    used = strlen(s->log);
    snprintf(s->log + used, sizeof s->log - used, "%s\n", sentence);
    s->warnings += level == BREAKER_LOG_WARNING;
    pthread_mutex_unlock(&log_lock);
}

int
stage_up(void **state)
{
    struct stage *s = calloc(1, sizeof *s);

    unsetenv("BREAKERD_DIR");
    unsetenv("BREAKERD_MODE");
    unsetenv("BREAKERD_FAIL");
    snprintf(s->dir, sizeof s->dir, "/tmp/breaker-test-XXXXXX");
    if (mkdtemp(s->dir) == NULL)
        return -1;
    *state = s;
    return 0;
}

bool
stage_is_libzmq(void)
{
    const char *transport = getenv("BREAKERD_TRANSPORT");

    return transport != NULL && strcmp(transport, "libzmq") == 0;
}

void
stage_path(const struct stage *s, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", s->dir, name);
}

static void
remove_all(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[512];

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (unlink(path) != 0)
            rmdir(path);
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}

int
stage_down(void **state)
{
    struct stage *s = *state;

    breaker_close(&s->b);
    fake_free(&s->fake);
    shm_free(&s->shm);
    remove_all(s->dir);
    free(s);
    return 0;
}

pid_t
stage_fork(void)
{
    pid_t child = fork();

    if (child == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

void
stage_open(struct stage *s, enum breaker_mode mode, enum breaker_fail fail,
           uint32_t deadline_ms)
{
    struct breaker_options options = BREAKER_OPTIONS_INIT;

    options.dir = s->dir;
    options.worker = "tester";
    options.mode = mode;
    options.fail = fail;
    options.deadline_ms = deadline_ms;
    options.flags = s->flags;
    options.log = take_log;
    options.log_context = s;
    s->b = breaker_open(&options);
    if (s->b == NULL)
        abort();
}

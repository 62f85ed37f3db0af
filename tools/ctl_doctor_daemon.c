/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's checks of the daemon: process, shared memory, heartbeat, protocol,
 * database. */
#define _GNU_SOURCE
#include "core/wire.h"
#include "tools/ctl_doctor.h"
#include "tools/ctl_history.h"
#include "tools/ctl_out.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Less room than this on the database's file system is worth a word. */
#define ROOM_BYTES (16U << 20)

static bool
read_pid(const struct doctor *d, long *pid)
{
    char path[PLACE_PATH_SIZE];
    char line[32] = "";
    char *end;
    FILE *file;

    if (!place_file(&d->place, "breakerd.pid", path))
        return false;
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    *pid = strtol(line, &end, 10);
    return *pid > 0 && *pid <= INT32_MAX && (*end == '\n' || *end == '\0');
}

void
doctor_process(struct doctor *d)
{
    struct doctor_finding *f = doctor_add(d, "process", DOCTOR_OK);
    bool is_running = d->seen == VIEW_OPEN && d->view.is_running;
    long pid = 0;

    if (!read_pid(d, &pid)) {
        f->result = is_running ? DOCTOR_WARN : DOCTOR_FAIL;
        doctor_text(f, "breakerd.pid is missing or holds no number");
        doctor_remedy(f, "(re)start breakerd --dir %s", d->place.dir);
    } else if (kill((pid_t)pid, 0) == 0 || errno == EPERM) {
        doctor_text(f, "pid %ld is alive", pid);
    } else if (is_running) {
        doctor_text(f,
                    "pid %ld cannot be seen from here (another pid "
                    "namespace), but breakerd beats",
                    pid);
    } else {
        f->result = DOCTOR_FAIL;
        doctor_text(f, "pid %ld is dead", pid);
        doctor_remedy(f, "start breakerd --dir %s", d->place.dir);
    }
}

void
doctor_segment(struct doctor *d)
{
    struct doctor_finding *f = doctor_add(d, "segment", DOCTOR_OK);
    struct bk_text remedy;
    struct stat st;

    switch (d->seen) {
    case VIEW_OPEN:
        doctor_text(f,
                    "layout %016llx as this breakerctl's, %zu KiB, room for "
                    "%u services",
                    (unsigned long long)bk_segment_fingerprint(),
                    d->view.bytes / 1024, d->view.segment.limits.services);
        if (stat(d->view.path, &st) == 0 && (st.st_mode & 0777) != 0640) {
            f->result = DOCTOR_WARN;
            doctor_remedy(f,
                          "its mode is %04o, should be 0640: restart "
                          "breakerd",
                          st.st_mode & 0777);
        }
        break;
    case VIEW_ABSENT:
        f->result = DOCTOR_FAIL;
        doctor_text(f, "breakerd.shm is missing");
        doctor_remedy(f, "start breakerd --dir %s", d->place.dir);
        break;
    case VIEW_FORBIDDEN:
        f->result = DOCTOR_FAIL;
        doctor_text(f, "this user may not read breakerd.shm");
        bk_text_init(&remedy, f->remedy, sizeof f->remedy);
        place_remedy(d->view.path, &remedy);
        break;
    case VIEW_UNSOUND:
        f->result = DOCTOR_FAIL;
        doctor_text(f, "breakerd.shm cannot be used: %s", d->why);
        doctor_remedy(f,
                      "restart breakerd, and use a breakerctl and libbreaker "
                      "of its version in its time namespace; until then "
                      "workers ask over the socket");
        break;
    }
}

void
doctor_heartbeat(struct doctor *d)
{
    struct doctor_finding *f;
    char age[CTL_DURATION_SIZE];

    if (d->seen != VIEW_OPEN)
        return;
    f = doctor_add(d, "heartbeat", DOCTOR_OK);
    if (d->view.heartbeat_age_ns == BK_NEVER)
        snprintf(age, sizeof age, "never");
    else
        ctl_duration(age, bk_ms_up(d->view.heartbeat_age_ns));
    if (d->view.is_running) {
        doctor_text(f, "%s old", age);
        return;
    }
    f->result = DOCTOR_FAIL;
    if (d->view.is_stopped) {
        doctor_text(f, "breakerd has ended cleanly, last beat %s ago", age);
        doctor_remedy(f, "start breakerd --dir %s", d->place.dir);
    } else {
        doctor_text(f, "last beat %s ago: breakerd is gone or hangs", age);
        doctor_remedy(f,
                      "(re)start breakerd --dir %s; until then workers decide "
                      "for themselves",
                      d->place.dir);
    }
}

static void
judge_hello(struct doctor_finding *f, const json_t *json)
{
    const char *version = ctl_json_word(json, "version", "?");
    long long protocol = json_integer_value(json_object_get(json, "protocol"));

    doctor_text(f, "BRK/%lld, breakerd %s, epoch %lld", protocol, version,
                (long long)json_integer_value(json_object_get(json, "epoch")));
    if (strcmp(version, BREAKERD_VERSION) != 0) {
        f->result = DOCTOR_WARN;
        doctor_remedy(f,
                      "this breakerctl is %s: install the same version of "
                      "both",
                      BREAKERD_VERSION);
    }
}

/* A whole question and answer, as a worker would ask. */
void
doctor_protocol(struct doctor *d)
{
    struct doctor_finding *f = doctor_add(d, "protocol", DOCTOR_OK);
    struct link_reply reply;
    struct bk_reply answer;
    json_t *json = NULL;
    enum ctl_exit exit =
        ask_one(d->c, ASK_WORKER, true, "HELLO 1 breakerctl 0", &reply);

    if (exit != CTL_DONE) {
        f->result = DOCTOR_FAIL;
        doctor_text(f, exit == CTL_FORBIDDEN
                           ? "cannot be tried: this user may not ask"
                           : "breakerd does not answer");
        doctor_remedy(f, "see the findings above");
        return;
    }
    if (bk_reply_parse(reply.frames[0], reply.lengths[0], &answer) &&
        answer.kind == BK_REPLY_OK && answer.text.at != NULL)
        json = json_loadb(answer.text.at, answer.text.len, 0, NULL);
    if (json != NULL) {
        judge_hello(f, json);
    } else {
        f->result = DOCTOR_FAIL;
        doctor_text(f, "the answer to HELLO %d is: %.200s", BK_PROTOCOL,
                    reply.frames[0]);
        doctor_remedy(f, "install breakerd and breakerctl of one version");
    }
    json_decref(json);
    link_reply_free(&reply);
}

static void
judge_room(struct doctor_finding *f, const char *path)
{
    struct statvfs fs;

    if (f->result != DOCTOR_OK || statvfs(path, &fs) != 0)
        return;
    if ((uint64_t)fs.f_bavail * fs.f_frsize < ROOM_BYTES) {
        f->result = DOCTOR_WARN;
        doctor_remedy(f, "less than 16 MiB are free there: make room");
    }
}

void
doctor_database(struct doctor *d)
{
    struct doctor_finding *f = doctor_add(d, "database", DOCTOR_OK);
    bool is_running = d->seen == VIEW_OPEN && d->view.is_running;
    char path[PLACE_PATH_SIZE] = "";
    char clause[160];
    struct bk_text why;

    bk_text_init(&why, clause, sizeof clause);
    if (!place_database(d->c->db, path))
        bk_text_put(&why, "the path is too long");
    switch (history_examine(path, &why)) {
    case HISTORY_READ:
        doctor_text(f, "%s is readable and sound", path);
        break;
    case HISTORY_BUSY:
        doctor_text(f, "%s is held by a running breakerd, as it should be",
                    path);
        break;
    case HISTORY_ABSENT:
        f->result = DOCTOR_WARN;
        doctor_text(f, "%s: %s", path, clause);
        doctor_remedy(f, is_running ? "name the file that breakerd uses with "
                                      "--db FILE"
                                    : "breakerd makes it when it starts; or "
                                      "name it with --db FILE");
        break;
    case HISTORY_FORBIDDEN:
        f->result = DOCTOR_WARN;
        doctor_text(f, "%s: %s", path, clause);
        doctor_remedy(f, "run doctor as the user that runs breakerd to check "
                         "it");
        break;
    case HISTORY_NO_SERVICE:
    case HISTORY_FAILED:
        f->result = DOCTOR_FAIL;
        doctor_text(f, "%s: %s", path, clause);
        doctor_remedy(f, "restart breakerd: it sets a damaged file aside and "
                         "starts a new one; a file of a newer version needs "
                         "that version");
        break;
    }
    judge_room(f, path);
}

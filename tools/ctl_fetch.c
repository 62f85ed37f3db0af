/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ctl_fetch.h"
#include "core/wire.h"
#include "tools/ctl_document.h"
#include "tools/ctl_out.h"
#include <stdlib.h>
#include <string.h>

#define WHY_SIZE 160

enum ctl_exit
fetch_service(const struct view *v, const char *name, struct view_service *out)
{
    char nearest[BK_NAME_SIZE];

    if (view_find(v, name, out))
        return CTL_DONE;
    if (view_nearest(v, name, nearest))
        ctl_say("no such service: %s; did you mean %s?", name, nearest);
    else
        ctl_say("no such service: %s", name);
    return CTL_NO_SERVICE;
}

static enum ctl_exit
from_view(const struct view *v, const char *const *names, size_t count,
          char **document)
{
    struct document *d = document_begin(v);
    struct view_service service;
    enum ctl_exit exit = CTL_DONE;
    size_t total = 0;
    uint32_t *slots;

    for (size_t i = 0; i < count; i++) {
        enum ctl_exit one = fetch_service(v, names[i], &service);

        if (one == CTL_DONE)
            document_service(d, v, &service, count == 1);
        else
            exit = one;
    }
    slots = count == 0 ? view_slots(v, &total) : NULL;
    for (size_t i = 0; i < total; i++) {
        if (view_read(v, slots[i], &service))
            document_service(d, v, &service, false);
    }
    free(slots);
    *document = document_end(d);
    return exit;
}

/* Puts the services of one answer behind those of the first. */
static void
merge(json_t **all, json_t *one, bool keeps_evidence)
{
    json_t *services = json_object_get(one, "services");
    json_t *service;
    size_t i;

    json_array_foreach(services, i, service)
    {
        if (!keeps_evidence)
            json_object_del(service, "evidence");
    }
    if (*all == NULL) {
        *all = json_incref(one);
        return;
    }
    json_array_extend(json_object_get(*all, "services"), services);
}

static enum ctl_exit
from_daemon(const struct ctl *c, const char *const *names, size_t count,
            char **document)
{
    struct ask_lines lines = {0};
    struct link_reply reply;
    json_t *all = NULL;
    enum ctl_exit exit;

    for (size_t i = 0; i < count; i++)
        ask_add(&lines, "STATUS", names[i], NULL, NULL);
    if (count == 0)
        ask_add(&lines, "STATUS", NULL, NULL, NULL);
    exit = ask_all(c, count == 0 ? ASK_OPERATOR : ASK_WORKER, &lines, &reply);
    ask_free(&lines);
    if (exit != CTL_DONE)
        return exit;
    for (size_t i = 0; i < reply.count; i++) {
        json_t *json;
        enum ctl_exit one =
            ask_json(&reply, i, count > 0 ? names[i] : NULL, &json);

        if (one == CTL_DONE)
            merge(&all, json, count == 1);
        else
            exit = one;
        json_decref(json);
    }
    link_reply_free(&reply);
    if (all != NULL)
        *document = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(all);
    return exit;
}

static void
say_if_down(const struct view *v)
{
    char age[CTL_DURATION_SIZE];

    if (v->is_running)
        return;
    if (v->is_stopped) {
        ctl_say("breakerd is not running: it ended cleanly; this is what it "
                "left in %s",
                v->path);
        return;
    }
    ctl_duration(age, v->heartbeat_age_ns == BK_NEVER
                          ? 0
                          : bk_ms_up(v->heartbeat_age_ns));
    ctl_say("breakerd is not running or hangs: its last heartbeat was %s ago; "
            "this is what it left in %s",
            age, v->path);
}

enum ctl_exit
fetch_view(const struct ctl *c, struct view *v)
{
    char why[WHY_SIZE];
    struct place place;
    struct bk_text text;
    enum view_result result;

    place_find(&place, c->dir);
    if (place.dir == NULL)
        return ask_unreachable(&place, "no breakerd has run here");
    bk_text_init(&text, why, sizeof why);
    result = view_open(v, &place, &text);
    if (result == VIEW_OPEN) {
        say_if_down(v);
        return CTL_DONE;
    }
    if (result == VIEW_FORBIDDEN)
        return ask_forbidden("read", v->path);
    if (result == VIEW_ABSENT)
        return ask_unreachable(&place, "no breakerd has run here: there is no "
                                       "shared memory");
    ctl_say("%s cannot be used: %s", v->path, why);
    return CTL_FAILED;
}

enum ctl_exit
fetch_status(const struct ctl *c, const char *const *names, size_t count,
             char **document)
{
    char why[WHY_SIZE];
    struct place place;
    struct bk_text text;
    struct view v;
    enum view_result result;
    enum ctl_exit exit;

    *document = NULL;
    place_find(&place, c->dir);
    if (place.dir == NULL)
        return ask_unreachable(&place, "no breakerd has run here");
    bk_text_init(&text, why, sizeof why);
    result = view_open(&v, &place, &text);
    if (result != VIEW_OPEN) {
        if (result == VIEW_FORBIDDEN)
            (void)ask_forbidden("read", v.path);
        else if (result == VIEW_UNSOUND)
            ctl_say("%s cannot be used: %s; asking breakerd", v.path, why);
        return from_daemon(c, names, count, document);
    }
    say_if_down(&v);
    exit = from_view(&v, names, count, document);
    view_close(&v);
    return exit;
}

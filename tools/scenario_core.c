/* SPDX-License-Identifier: Apache-2.0
 *
 * The stage without a daemon: a bare fleet in virtual time. Time 0 of the
 * scenario is 0 of the clock; processes are numbers. */
#include "tools/scenario_serve.h"
#include "tools/scenario_stage.h"
#include <stdlib.h>
#include <string.h>

#define LEASES 65536
#define ROUTES 64
/* Any seed will do: scenarios expect ranges where numbers are drawn. */
#define SEED UINT64_C(0x5eed)
#define FIRST_PID 1000
/* A fleet whose outbox is emptied between them never needs this many turns. */
#define TURNS_MAX 100000

struct process {
    char actor[SCENARIO_ACTOR_SIZE];
    uint32_t pid;
};

struct core {
    struct scenario_stage stage;
    const struct scenario *scenario;
    struct bk_limits limits;
    struct scenario_fleet f;
    void *memory;
    int64_t now_ns;
    struct process *processes;
    size_t process_count;
    uint32_t last_pid;
};

static struct core *
of(struct scenario_stage *stage)
{
    return (struct core *)(void *)stage;
}

static bool
fail(struct core *c, const char *words)
{
    bk_copy_text(c->stage.words, sizeof(c->stage.words), words, strlen(words));
    return false;
}

/* The daemon would publish, store and tell; here it is only taken. */
static void
drain(struct bk_fleet *f)
{
    struct bk_note note;
    while (bk_fleet_next_note(f, &note)) {
    }
    while (bk_fleet_next_dirty(f) != BK_NO_SLOT) {
    }
    while (bk_fleet_next_dirty_lease(f) != BK_NO_SLOT) {
    }
}

static bool
wait_until(struct scenario_stage *stage, int64_t at_ns)
{
    of(stage)->now_ns = at_ns;
    return true;
}

/* Lets every deadline up to now pass. Only whoever looks from outside needs it:
 * each command catches up with the deadlines of its service by itself, and
 * playing without a hurrying loop shows that it does. */
static bool
advance(struct core *c)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        bool is_done = bk_fleet_advance(c->f.fleet, c->now_ns);
        drain(c->f.fleet);
        if (is_done) {
            return true;
        }
    }
    return fail(c, "time does not pass: deadlines never end");
}

static int64_t
late_ns(const struct scenario_stage *stage, int64_t at_ns)
{
    (void)stage;
    (void)at_ns;
    return 0;
}

static struct process *
find_process(struct core *c, const char *actor)
{
    for (size_t i = 0; i < c->process_count; i++) {
        if (strcmp(c->processes[i].actor, actor) == 0) {
            return &c->processes[i];
        }
    }
    struct process *more =
        realloc(c->processes, (c->process_count + 1) * sizeof(*more));
    if (more == NULL) {
        return NULL;
    }
    c->processes = more;
    more = &more[c->process_count++];
    bk_copy_text(more->actor, sizeof(more->actor), actor, strlen(actor));
    more->pid = ++c->last_pid;
    return more;
}

static bool
ask(struct scenario_stage *stage, const char *actor, const char *lines,
    struct bk_text *answers)
{
    struct core *c = of(stage);
    const struct process *process = find_process(c, actor);
    if (process == NULL) {
        return fail(c, "out of memory");
    }
    struct scenario_peer peer = {
        .caller = {.pid = process->pid, .worker = process->actor},
        .is_operator = strcmp(actor, "op") == 0};
    for (const char *line = lines; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (strncmp(line, "STATUS ", 7) == 0 && !advance(c)) {
            return false;
        }
        if (answers->len > 0) {
            bk_text_put_char(answers, '\n');
        }
        scenario_serve(&c->f, c->now_ns, &peer, line, len, answers);
        drain(c->f.fleet);
        line += len + (line[len] == '\n');
    }
    return !answers->is_cut || fail(c, "the answer is too long");
}

static bool
die(struct scenario_stage *stage, const char *actor)
{
    struct core *c = of(stage);
    struct process *process = find_process(c, actor);
    if (process == NULL) {
        return fail(c, "out of memory");
    }
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        bool is_done =
            bk_fleet_process_died(c->f.fleet, c->now_ns, process->pid);
        drain(c->f.fleet);
        if (is_done) {
            process->pid = ++c->last_pid;
            return true;
        }
    }
    return fail(c, "a process does not finish dying");
}

static struct bk_fleet *
new_fleet(struct core *c, void *memory)
{
    struct bk_fleet *f = bk_fleet_init(
        memory, &c->limits, scenario_values_source, &c->f.values, SEED);
    bool is_set = bk_fleet_set_routes(f, c->scenario->routes,
                                      (uint32_t)c->scenario->route_count);
    return is_set ? f : NULL;
}

/* Services that the configuration names are there from the start. */
static bool
make_services(struct core *c)
{
    for (size_t i = 0; i < c->f.values.count; i++) {
        const struct scenario_own *own = &c->f.values.own[i];
        uint32_t slot;
        bool is_named = own->has_section || own->set.has != 0;
        if (is_named && bk_fleet_make(c->f.fleet, c->now_ns, own->name,
                                      strlen(own->name), &slot) != BK_OK) {
            return fail(c, "there are too many services");
        }
    }
    return true;
}

static void
carry_over(struct core *c, const struct bk_fleet *from, struct bk_fleet *to)
{
    bk_fleet_set_next_id(to, bk_fleet_next_id(from) + BK_ID_LEAP);
    for (uint32_t i = 0; i < c->limits.services; i++) {
        struct bk_saved saved;
        if (bk_fleet_service(from, i) != NULL) {
            bk_fleet_save(from, i, c->now_ns, &saved);
            bk_fleet_restore(to, c->now_ns, &saved);
        }
    }
    for (size_t i = 0; i < c->scenario->use_count; i++) {
        uint64_t generation;
        const char *name = c->scenario->uses[i].word;
        if (bk_fleet_forgotten(from, name, &generation)) {
            bk_fleet_remember(to, name, generation);
        }
    }
}

/* What a reboot leaves: everything that was saved, nothing of the rest. */
static bool
lose_segment(struct core *c)
{
    void *memory = calloc(1, bk_fleet_bytes(&c->limits));
    struct bk_fleet *fresh = memory == NULL ? NULL : new_fleet(c, memory);
    if (fresh == NULL) {
        free(memory);
        return fail(c, "out of memory");
    }
    if (!advance(c)) {
        free(memory);
        return false;
    }
    carry_over(c, c->f.fleet, fresh);
    free(c->memory);
    c->memory = memory;
    c->f.fleet = fresh;
    return make_services(c) && advance(c);
}

static bool
order_daemon(struct scenario_stage *stage, enum scenario_verb verb)
{
    return verb != SCENARIO_LOSE_SEGMENT || lose_segment(of(stage));
}

static bool
probe(struct scenario_stage *stage, const char *service,
      enum bk_outcome outcome)
{
    struct core *c = of(stage);
    struct bk_health health = {.name = service,
                               .name_len = strlen(service),
                               .outcome = outcome,
                               .latency_ns = BK_NS_PER_MS};
    enum bk_error error = bk_fleet_health(c->f.fleet, c->now_ns, &health);
    drain(c->f.fleet);
    return error == BK_OK ||
           fail(c, "only a service that is there has health probes");
}

static int64_t
next_change_ns(struct scenario_stage *stage)
{
    struct core *c = of(stage);
    return advance(c) ? bk_fleet_deadline(c->f.fleet) : BK_NEVER;
}

static bool
finish(struct scenario_stage *stage)
{
    (void)stage;
    return true;
}

static void
close_core(struct scenario_stage *stage)
{
    struct core *c = of(stage);
    scenario_values_free(&c->f.values);
    free(c->processes);
    free(c->memory);
    free(c);
}

struct scenario_stage *
scenario_core_open(const struct scenario *s, struct bk_text *error)
{
    struct core *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        bk_text_put(error, "out of memory");
        return NULL;
    }
    c->stage = (struct scenario_stage){.wait = wait_until,
                                       .late_ns = late_ns,
                                       .ask = ask,
                                       .die = die,
                                       .daemon = order_daemon,
                                       .next_change_ns = next_change_ns,
                                       .finish = finish,
                                       .probe = probe,
                                       .close = close_core};
    c->scenario = s;
    /* Room for every name of the file, which is what a large table amounts to. */
    uint32_t services =
        s->max_services > 0 ? s->max_services : (uint32_t)s->use_count + 1;
    c->limits = (struct bk_limits){.services = services,
                                   .leases = LEASES,
                                   .policies = services + 1,
                                   .routes = ROUTES};
    c->last_pid = FIRST_PID;
    c->memory = calloc(1, bk_fleet_bytes(&c->limits));
    bool is_ready =
        c->memory != NULL && scenario_values_init(&c->f.values, s) &&
        (c->f.fleet = new_fleet(c, c->memory)) != NULL && make_services(c);
    if (!is_ready) {
        bk_text_put(error, c->stage.words[0] != '\0'
                               ? c->stage.words
                               : "out of memory, or too many routes");
        close_core(&c->stage);
        return NULL;
    }
    return &c->stage;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client_stage.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct shm {
    pthread_t heart;
    _Atomic bool beats;
    _Atomic bool is_over;
    void *base;
    size_t bytes;
    struct bk_segment segment;
    void *memory;
    struct bk_fleet *fleet;
    struct bk_policy policy;
};

static const struct bk_limits limits = {
    .services = 64, .leases = 64, .policies = 64, .routes = 8};

int64_t
shm_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * BK_NS_PER_S + t.tv_nsec;
}

static bool
source(void *context, const char *name, struct bk_policy *out)
{
    struct shm *shm = context;

    (void)name;
    *out = shm->policy;
    return false;
}

void
shm_configure(struct shm *shm, const char *settings)
{
    struct bk_layer layer = {.has = 0};
    char copy[512];
    char why[200];
    char *rest = copy;

    snprintf(copy, sizeof copy, "%s", settings);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        char *value = strchr(word, '=');
        struct bk_text error;

        if (value == NULL)
            continue;
        bk_text_init(&error, why, sizeof why);
        if (!bk_layer_set(&layer, word, (size_t)(value - word), value + 1,
                          strlen(value + 1), &error)) {
            fprintf(stderr, "%s\n", why);
            abort();
        }
    }
    bk_policy_defaults(&shm->policy);
    bk_policy_overlay(&shm->policy, &layer, BK_FROM_SERVICE, NULL);
}

static void *
beat(void *context)
{
    struct shm *shm = context;
    struct bk_segment_header *h = shm->segment.header;

    while (!atomic_load(&shm->is_over)) {
        if (atomic_load(&shm->beats)) {
            atomic_store(&h->heartbeat_mono_ns, mono_ns());
            atomic_store(&h->heartbeat_boot_ns, shm_now());
        }
        sleep_ms(20);
    }
    return NULL;
}

static void
read_boot_id(char id[BK_BOOT_ID_SIZE])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);

    memset(id, 0, BK_BOOT_ID_SIZE);
    if (fd < 0 || read(fd, id, 36) != 36)
        abort();
    close(fd);
}

static void
lay_out(struct shm *shm, const char *dir)
{
    char path[160];
    char boot_id[BK_BOOT_ID_SIZE];
    struct stat st = {.st_ino = 0};
    int fd;

    snprintf(path, sizeof path, "%s/breakerd.shm", dir);
    unlink(path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    shm->bytes = bk_segment_bytes(&limits);
    if (fd < 0 || ftruncate(fd, (off_t)shm->bytes) != 0)
        abort();
    shm->base =
        mmap(NULL, shm->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shm->base == MAP_FAILED)
        abort();
    read_boot_id(boot_id);
    if (stat("/proc/self/ns/time", &st) != 0)
        st.st_ino = 0;
    bk_segment_format(shm->base, &limits, boot_id, st.st_ino);
    if (bk_segment_attach(&shm->segment, shm->base, shm->bytes) != NULL)
        abort();
}

struct shm *
shm_new(const char *dir)
{
    struct shm *shm = calloc(1, sizeof *shm);

    shm_configure(shm, "");
    lay_out(shm, dir);
    shm->memory = calloc(1, bk_fleet_bytes(&limits));
    shm->fleet = bk_fleet_init(shm->memory, &limits, source, shm, 1);
    atomic_store(&shm->segment.header->heartbeat_mono_ns, mono_ns());
    atomic_store(&shm->segment.header->workers, 1);
    atomic_store(&shm->segment.header->epoch, 1);
    atomic_store(&shm->segment.header->phase, BK_SEGMENT_RUNNING);
    atomic_store(&shm->beats, true);
    if (pthread_create(&shm->heart, NULL, beat, shm) != 0)
        abort();
    return shm;
}

void
shm_free(struct shm **shm)
{
    if (*shm == NULL)
        return;
    atomic_store(&(*shm)->is_over, true);
    pthread_join((*shm)->heart, NULL);
    munmap((*shm)->base, (*shm)->bytes);
    free((*shm)->memory);
    free(*shm);
    *shm = NULL;
}

struct bk_fleet *
shm_fleet(struct shm *shm)
{
    return shm->fleet;
}

struct bk_segment *
shm_segment(struct shm *shm)
{
    return &shm->segment;
}

void
shm_publish(struct shm *shm)
{
    struct bk_note note;
    uint32_t slot;

    while (bk_fleet_next_note(shm->fleet, &note))
        ;
    bk_segment_put_policies(&shm->segment, shm->fleet);
    bk_segment_put_routes(&shm->segment, shm->fleet);
    while ((slot = bk_fleet_next_dirty(shm->fleet)) != BK_NO_SLOT) {
        bk_segment_put_service(&shm->segment, shm->fleet, slot);
        (void)bk_segment_put_word(&shm->segment, slot,
                                  bk_fleet_verdict(shm->fleet, slot));
    }
}

void
shm_stop_heart(struct shm *shm, int64_t age_ns)
{
    atomic_store(&shm->beats, false);
    sleep_ms(25); /* a beat that had begun is over */
    atomic_store(&shm->segment.header->heartbeat_mono_ns, mono_ns() - age_ns);
}

void
shm_start_heart(struct shm *shm)
{
    atomic_store(&shm->segment.header->heartbeat_mono_ns, mono_ns());
    atomic_store(&shm->beats, true);
}

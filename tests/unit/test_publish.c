/* SPDX-License-Identifier: Apache-2.0
 *
 * The segment's file: what one daemon published, the next takes over slot for
 * slot; what cannot be believed is replaced. */
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/publish.h"
#include "scratch.h"
#include "unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct bk_limits small = {
    .services = 32, .leases = 64, .policies = 8, .routes = 2};
static struct rundir dir;
static char base[64];

static bool
defaults(void *context, const char *name, struct bk_policy *out)
{
    (void)context;
    (void)name;
    bk_policy_defaults(out);
    out->max_concurrent = 5;
    return false;
}

static struct bk_fleet *
make_fleet(const struct bk_limits *limits)
{
    void *mem = calloc(1, bk_fleet_bytes(limits));
    assert_non_null(mem);
    return bk_fleet_init(mem, limits, defaults, NULL, 1);
}

static int
make_base(void **state)
{
    char sentence[512];
    struct bk_text error;
    (void)state;
    log_set_level(LOG_ERROR);
    scratch_make(base, sizeof(base));
    bk_text_init(&error, sentence, sizeof(sentence));
    return rundir_open(&dir, base, "/tmp/unused.db", &error) ? 0 : -1;
}

static int
remove_base(void **state)
{
    (void)state;
    rundir_close(&dir);
    scratch_remove(base);
    return 0;
}

static struct bk_acquired
acquire(struct bk_fleet *f, int64_t now_ns, const char *name)
{
    struct bk_acquire ask = {.name = name,
                             .name_len = strlen(name),
                             .attempt = 1,
                             .caller = {.pid = (uint32_t)getpid()}};
    struct bk_acquired got;
    assert_int_equal(bk_fleet_acquire(f, now_ns, &ask, &got), BK_OK);
    return got;
}

static ino_t
inode(void)
{
    char path[PATH_MAX];
    struct stat st;
    assert_true(rundir_file(&dir, "breakerd.shm", path));
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* One daemon's life: a service tripped, another with a lease out; then it is
 * killed, nothing is closed. */
static uint64_t
live(int64_t now_ns)
{
    struct publish_found found;
    struct bk_fleet *f = make_fleet(&small);
    struct publish *p = publish_open(&dir, f, now_ns, &found);
    uint32_t slot;
    bool was_override;
    struct bk_order order = {.name = "down",
                             .name_len = 4,
                             .mode = BK_FORCED_OPEN,
                             .duration_ns = BK_NEVER,
                             .actor = "0:0:1"};
    assert_non_null(p);
    assert_false(found.is_adopted);
    bk_fleet_order(f, now_ns, &order, &slot, &was_override);
    uint64_t permit = acquire(f, now_ns, "busy").permit;
    publish_sync(p, f, NULL, NULL);
    publish_rest(p, f, true);
    publish_run(p, 7, now_ns);
    return permit;
}

/* In a process of its own; the permit it gave out. */
static uint64_t
live_once(int64_t now_ns)
{
    uint64_t permit = 0;
    int ends[2];
    int status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        permit = live(now_ns);
        ssize_t n = write(ends[1], &permit, sizeof(permit));
        _exit(n == sizeof(permit) ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &permit, sizeof(permit)), sizeof(permit));
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_not_equal(permit, 0);
    return permit;
}

static void
test_the_next_daemon_takes_over(void **state)
{
    int64_t now_ns = clock_boot_ns();
    struct publish_found found;
    enum bk_applied applied;
    (void)state;
    uint64_t permit = live_once(now_ns);
    ino_t before = inode();
    struct bk_fleet *f = make_fleet(&small);
    struct publish *p = publish_open(&dir, f, now_ns, &found);
    assert_non_null(p);
    assert_true(found.is_adopted);
    assert_int_equal(found.epoch, 7);
    assert_int_equal(found.services, 2);
    assert_int_equal(found.leases, 1);
    uint32_t down = bk_fleet_find(f, "down", 4);
    assert_int_equal(bk_fleet_service(f, down)->breaker.mode, BK_FORCED_OPEN);
    struct bk_report report = {.name = "busy",
                               .name_len = 4,
                               .permit = permit,
                               .is_current = true,
                               .outcome = BK_SUCCESS,
                               .latency_ns = -1};
    bk_fleet_report(f, now_ns, &report, &applied);
    assert_int_equal(applied, BK_APPLIED);
    assert_true(acquire(f, now_ns, "busy").permit > permit);
    assert_int_equal(inode(), before); /* readers keep their mapping */
    publish_close(&p);
    free(f);
}

static void
test_other_limits_mean_another_file(void **state)
{
    int64_t now_ns = clock_boot_ns();
    struct bk_limits larger = small;
    struct publish_found found;
    char path[PATH_MAX];
    (void)state;
    live_once(now_ns);
    assert_true(rundir_file(&dir, "breakerd.shm", path));
    int fd = open(path, O_RDONLY);
    struct bk_segment_header *old =
        mmap(NULL, sizeof(*old), PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(old, MAP_FAILED);
    ino_t before = inode();
    larger.services = 64;
    struct bk_fleet *f = make_fleet(&larger);
    struct publish *p = publish_open(&dir, f, now_ns, &found);
    assert_true(found.is_adopted);
    assert_int_equal(bk_fleet_count(f), 2);
    publish_sync(p, f, NULL, NULL);
    publish_rest(p, f, true);
    assert_int_equal(inode(), before);
    assert_int_not_equal(atomic_load(&old->phase), BK_SEGMENT_RETIRED);
    publish_run(p, 8, now_ns);
    assert_int_not_equal(inode(), before);
    assert_int_equal(atomic_load(&old->phase), BK_SEGMENT_RETIRED);
    publish_close(&p);
    munmap(old, sizeof(*old));
    close(fd);
    free(f);
}

/* A daemon that would have made another file and then could not start. */
static void
test_who_does_not_start_leaves_all_as_it_was(void **state)
{
    int64_t now_ns = clock_boot_ns();
    struct bk_limits larger = small;
    struct publish_found found;
    (void)state;
    live_once(now_ns);
    ino_t before = inode();
    larger.services = 64;
    struct bk_fleet *f = make_fleet(&larger);
    struct publish *p = publish_open(&dir, f, now_ns, &found);
    publish_close(&p);
    free(f);
    assert_int_equal(inode(), before);
    f = make_fleet(&small);
    p = publish_open(&dir, f, now_ns, &found);
    assert_true(found.is_adopted);
    assert_int_equal(inode(), before);
    publish_close(&p);
    free(f);
}

static void
expect_refused(const char *what)
{
    struct publish_found found;
    struct bk_fleet *f = make_fleet(&small);
    struct publish *p = publish_open(&dir, f, clock_boot_ns(), &found);
    if (p == NULL || found.is_adopted || bk_fleet_count(f) != 0) {
        fail_msg("%s was believed", what);
    }
    publish_close(&p);
    free(f);
}

static void
write_at(off_t at, const char *bytes, size_t len)
{
    char path[PATH_MAX];
    assert_true(rundir_file(&dir, "breakerd.shm", path));
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

static void
test_what_cannot_be_believed_is_replaced(void **state)
{
    char path[PATH_MAX];
    (void)state;
    assert_true(rundir_file(&dir, "breakerd.shm", path));
    live_once(clock_boot_ns());
    write_at(0, "XXXXXXXX", 8);
    expect_refused("a wrong magic");
    unlink(path);
    live_once(clock_boot_ns());
    assert_int_equal(truncate(path, 4096), 0);
    expect_refused("a short file");
    unlink(path);
    live_once(clock_boot_ns());
    write_at((off_t)offsetof(struct bk_segment_header, boot_id), "other", 5);
    expect_refused("another boot's file");
    unlink(path);
    live_once(clock_boot_ns());
    assert_int_equal(chmod(path, 0666), 0);
    expect_refused("a file anybody may write");
}

static void
test_the_file_has_its_mode(void **state)
{
    char path[PATH_MAX];
    struct stat st;
    (void)state;
    mode_t before = umask(077);
    live_once(clock_boot_ns());
    umask(before);
    assert_true(rundir_file(&dir, "breakerd.shm", path));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_size, bk_segment_bytes(&small));
}

static void
fail_all(struct bk_fleet *f, struct publish *p, int64_t now_ns,
         const struct bk_limits *limits)
{
    for (uint32_t i = 0; i < limits->services; i++) {
        char name[16];
        enum bk_applied applied;
        snprintf(name, sizeof(name), "s%u", i);
        struct bk_report report = {.name = name,
                                   .name_len = strlen(name),
                                   .is_current = true,
                                   .outcome = BK_FAILURE,
                                   .latency_ns = 1000};
        for (int k = 0; k < BK_EVIDENCE_COUNT; k++) {
            bk_fleet_report(f, now_ns, &report, &applied);
        }
        struct bk_note note;
        while (bk_fleet_next_note(f, &note)) {
        }
    }
    publish_sync(p, f, NULL, NULL);
    publish_rest(p, f, true);
}

/* Room for what is seldom said is taken when it is said, ahead of every use. */
static void
test_room_is_taken_as_it_is_needed(void **state)
{
    const struct bk_limits many = {
        .services = 256, .leases = 4, .policies = 8, .routes = 2};
    int64_t now_ns = clock_boot_ns();
    struct publish_found found;
    char path[PATH_MAX];
    struct stat st;
    struct bk_segment s;
    (void)state;
    struct bk_fleet *f = make_fleet(&many);
    struct publish *p = publish_open(&dir, f, now_ns, &found);
    publish_run(p, 1, now_ns);
    assert_true(rundir_file(&dir, "breakerd.shm", path));
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    size_t bare = bk_segment_fixed_bytes(&many);
    assert_true((size_t)st.st_blocks * 512 >= bare);
    assert_true((size_t)st.st_blocks * 512 < bare + 65536);
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_null(bk_segment_attach(&s, map, (size_t)st.st_size));
    assert_int_equal(bk_segment_blocks(&s), 0);
    fail_all(f, p, now_ns, &many);
    uint32_t end = bk_segment_blocks(&s);
    assert_true(end > 256 * 10 && end < s.block_count);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true((size_t)st.st_blocks * 512 >=
                bare + (size_t)end * BK_BLOCK_WORDS * sizeof(uint64_t));
    for (uint32_t i = 0; i < many.services; i++) {
        struct bk_evidence seen[BK_EVIDENCE_COUNT];
        assert_true(bk_segment_read_evidence(&s, i, seen));
        assert_memory_equal(seen, bk_fleet_service(f, i)->evidence,
                            sizeof(seen));
    }
    munmap(map, (size_t)st.st_size);
    close(fd);
    publish_close(&p);
    free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_next_daemon_takes_over,
                                        make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_other_limits_mean_another_file,
                                        make_base, remove_base),
        cmocka_unit_test_setup_teardown(
            test_who_does_not_start_leaves_all_as_it_was, make_base,
            remove_base),
        cmocka_unit_test_setup_teardown(
            test_what_cannot_be_believed_is_replaced, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_the_file_has_its_mode, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_room_is_taken_as_it_is_needed,
                                        make_base, remove_base)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

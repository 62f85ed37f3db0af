/* SPDX-License-Identifier: Apache-2.0 */
#include "fault_vfs.h"
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

struct fault_file {
    sqlite3_file base;
    int is_main;
    sqlite3_file *real; /* lies behind this struct */
};

static sqlite3_vfs *real_vfs;
static _Atomic unsigned armed_kinds;
static _Atomic int armed_main_only;
static _Atomic int calls;
static _Atomic int fail_from;
static _Atomic int fail_to;
static _Atomic int hits;
static _Atomic int sync_ms;

void
fault_arm(unsigned kinds, int first, int count, int is_main_only)
{
    atomic_store(&armed_kinds, 0);
    atomic_store(&calls, 0);
    atomic_store(&hits, 0);
    atomic_store(&fail_from, first);
    atomic_store(&fail_to, first + count);
    atomic_store(&armed_main_only, is_main_only);
    atomic_store(&armed_kinds, kinds);
}

int
fault_hits(void)
{
    return atomic_load(&hits);
}

void
fault_slow_sync(int ms)
{
    atomic_store(&sync_ms, ms);
}

static int
fails(enum fault_kind kind, int is_main)
{
    int call;

    if ((atomic_load(&armed_kinds) & kind) == 0 ||
        (atomic_load(&armed_main_only) && !is_main))
        return 0;
    call = atomic_fetch_add(&calls, 1) + 1;
    if (call < atomic_load(&fail_from) || call >= atomic_load(&fail_to))
        return 0;
    atomic_fetch_add(&hits, 1);
    return 1;
}

static struct fault_file *
ours(sqlite3_file *file)
{
    return (struct fault_file *)(void *)file;
}

static int
do_close(sqlite3_file *file)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xClose(real);
}

static int
do_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    sqlite3_file *real = ours(file)->real;

    if (fails(FAULT_READ, ours(file)->is_main))
        return SQLITE_IOERR_READ;
    return real->pMethods->xRead(real, to, len, at);
}

static int
do_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at)
{
    sqlite3_file *real = ours(file)->real;

    if (fails(FAULT_WRITE, ours(file)->is_main)) {
        /* As a failing disk does it: some of it, then no more. */
        (void)real->pMethods->xWrite(real, from, len / 2, at);
        return SQLITE_IOERR_WRITE;
    }
    return real->pMethods->xWrite(real, from, len, at);
}

static int
do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    sqlite3_file *real = ours(file)->real;

    if (fails(FAULT_TRUNCATE, ours(file)->is_main))
        return SQLITE_IOERR_TRUNCATE;
    return real->pMethods->xTruncate(real, size);
}

static int
do_sync(sqlite3_file *file, int flags)
{
    sqlite3_file *real = ours(file)->real;
    int ms = atomic_load(&sync_ms);
    const struct timespec pause = {.tv_sec = ms / 1000,
                                   .tv_nsec = (long)(ms % 1000) * 1000000};

    if (ms > 0)
        (void)nanosleep(&pause, NULL);
    if (fails(FAULT_SYNC, ours(file)->is_main))
        return SQLITE_IOERR_FSYNC;
    return real->pMethods->xSync(real, flags);
}

static int
do_size(sqlite3_file *file, sqlite3_int64 *size)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xFileSize(real, size);
}

static int
do_lock(sqlite3_file *file, int kind)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xLock(real, kind);
}

static int
do_unlock(sqlite3_file *file, int kind)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xUnlock(real, kind);
}

static int
do_check_lock(sqlite3_file *file, int *out)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xCheckReservedLock(real, out);
}

static int
do_control(sqlite3_file *file, int op, void *arg)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xFileControl(real, op, arg);
}

static int
do_sector(sqlite3_file *file)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xSectorSize(real);
}

static int
do_traits(sqlite3_file *file)
{
    sqlite3_file *real = ours(file)->real;

    return real->pMethods->xDeviceCharacteristics(real);
}

/* Version 1: without shared memory, which the store never asks for. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_size,
    .xLock = do_lock,
    .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_lock,
    .xFileControl = do_control,
    .xSectorSize = do_sector,
    .xDeviceCharacteristics = do_traits,
};

static int
do_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
        int *out_flags)
{
    struct fault_file *f = ours(file);
    int code;

    (void)vfs;
    f->base.pMethods = NULL;
    f->is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    f->real = (sqlite3_file *)(void *)(f + 1);
    if (fails(FAULT_OPEN, f->is_main))
        return SQLITE_CANTOPEN;
    code = real_vfs->xOpen(real_vfs, name, f->real, flags, out_flags);
    if (f->real->pMethods != NULL)
        f->base.pMethods = &methods;
    return code;
}

static int
do_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    (void)vfs;
    if (fails(FAULT_DELETE, 0))
        return SQLITE_IOERR_DELETE;
    return real_vfs->xDelete(real_vfs, name, sync_directory);
}

void
fault_install(void)
{
    static sqlite3_vfs vfs;

    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faults";
    vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    vfs.xOpen = do_open;
    vfs.xDelete = do_delete;
    (void)sqlite3_vfs_register(&vfs, 1);
}

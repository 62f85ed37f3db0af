#ifndef FAULT_VFS_H
#define FAULT_VFS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * A layer under SQLite that does what the real one does, until it is told to
 * fail, or to be slow. For tests; safe from any thread. */

enum fault_kind {
    FAULT_OPEN = 1,
    FAULT_READ = 2,
    FAULT_WRITE = 4,
    FAULT_SYNC = 8,
    FAULT_TRUNCATE = 16,
    FAULT_DELETE = 32,
    FAULT_ANY = 63
};
#define FAULT_FOREVER 1000000000

/* Becomes the default of everything opened from now on. */
void fault_install(void);
/* Of the calls of these kinds from now on, the `first` one (1 is the next) and
 * the `count` - 1 behind it fail. `is_main_only`: calls on a database's main file
 * alone. count 0: none fails. */
void fault_arm(unsigned kinds, int first, int count, int is_main_only);
/* How many calls have failed since fault_arm. */
int fault_hits(void);
/* Each sync takes this long. */
void fault_slow_sync(int ms);

#endif

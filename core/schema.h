#ifndef BK_SCHEMA_H
#define BK_SCHEMA_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * Which tables the database has (PRAGMA user_version): the daemon brings an older
 * file up to this, and tools that read one refuse a newer. The table of history has
 * been the same since the first. */
#define BK_SCHEMA_VERSION 3

#endif

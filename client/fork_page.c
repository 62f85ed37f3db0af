/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "client/fork_page.h"
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096

/* Only pages the kernel does not wipe are listed. Process-wide, since
 * pthread_atfork is. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fork_page *list;
static bool has_handlers;

static void
before_fork(void)
{
    pthread_mutex_lock(&list_lock);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&list_lock);
}

static void
in_child(void)
{
    for (struct fork_page *page = list; page != NULL; page = page->next)
        atomic_store_explicit(&page->serial, FORK_CHILD, memory_order_relaxed);
    pthread_mutex_unlock(&list_lock);
}

static bool
enlist(struct fork_page *page)
{
    bool is_done;

    pthread_mutex_lock(&list_lock);
    if (!has_handlers)
        has_handlers = pthread_atfork(before_fork, after_fork, in_child) == 0;
    is_done = has_handlers;
    if (is_done) {
        page->is_listed = true;
        page->next = list;
        list = page;
    }
    pthread_mutex_unlock(&list_lock);
    return is_done;
}

static void
delist(struct fork_page *page)
{
    pthread_mutex_lock(&list_lock);
    for (struct fork_page **at = &list; *at != NULL; at = &(*at)->next) {
        if (*at == page) {
            *at = page->next;
            break;
        }
    }
    pthread_mutex_unlock(&list_lock);
}

struct fork_page *
fork_page_new(bool may_wipe)
{
    struct fork_page *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return NULL;
    if (may_wipe && madvise(page, PAGE_BYTES, MADV_WIPEONFORK) == 0)
        return page;
    if (enlist(page))
        return page;
    (void)munmap(page, PAGE_BYTES);
    return NULL;
}

void
fork_page_free(struct fork_page **page)
{
    if (*page == NULL)
        return;
    if ((*page)->is_listed)
        delist(*page);
    (void)munmap(*page, PAGE_BYTES);
    *page = NULL;
}

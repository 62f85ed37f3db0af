/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target without libFuzzer: every file of a folder, then mutations
 * of them drawn from a seed. The same seed draws the same inputs anywhere.
 *
 * usage: replay CORPUS-DIR [MUTATIONS [SEED]] */
#include "target.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 256, INPUT_MAX = 4096, EDITS_MAX = 8 };

struct input {
    uint8_t at[INPUT_MAX];
    size_t len;
};

static struct input corpus[FILES_MAX];
static size_t corpus_count;
static uint64_t random_state;

static uint64_t
draw(uint64_t end)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    PROMISE(end > 0);
    return random_state % end;
}

/* In a copy of exactly its size, so that a sanitizer sees every step beyond. */
static void
run(const struct input *input)
{
    uint8_t *copy = malloc(input->len > 0 ? input->len : 1);
    PROMISE(copy != NULL);
    memcpy(copy, input->at, input->len);
    LLVMFuzzerTestOneInput(copy, input->len);
    free(copy);
}

static void
insert(struct input *in, size_t at, const uint8_t *what, size_t len)
{
    if (len > INPUT_MAX - in->len)
        len = INPUT_MAX - in->len;
    memmove(in->at + at + len, in->at + at, in->len - at);
    memcpy(in->at + at, what, len);
    in->len += len;
}

static void
cut(struct input *in, size_t at, size_t len)
{
    if (len > in->len - at)
        len = in->len - at;
    memmove(in->at + at, in->at + at + len, in->len - at - len);
    in->len -= len;
}

static void
edit(struct input *in)
{
    static const char *const words[] = {" ",
                                        "-",
                                        "*",
                                        "0",
                                        "9007199254740991",
                                        "9007199254740992",
                                        "=",
                                        "+",
                                        "#",
                                        "[",
                                        "]",
                                        "\xc3",
                                        "\x80",
                                        "%",
                                        "1.5",
                                        "ms",
                                        ",",
                                        "\t ",
                                        "18446744073709551616"};
    size_t at = (size_t)draw(in->len + 1);
    const struct input *other = &corpus[draw(corpus_count)];
    uint8_t octet = (uint8_t)draw(256);
    const char *word = words[draw(sizeof(words) / sizeof(words[0]))];
    switch (draw(6)) {
    case 0:
        insert(in, at, &octet, 1);
        break;
    case 1:
        insert(in, at, (const uint8_t *)word, strlen(word));
        break;
    case 2:
        cut(in, at, 1 + (size_t)draw(8));
        break;
    case 3:
        if (at < in->len)
            in->at[at] = octet;
        break;
    case 4:
        if (at < in->len)
            in->at[at] ^= (uint8_t)(1U << draw(8));
        break;
    default:
        in->len = at;
        insert(in, at, other->at, other->len);
        break;
    }
}

static void
load(const char *folder, const char *name)
{
    char path[4096];
    struct input *in = &corpus[corpus_count];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    in->len = fread(in->at, 1, sizeof(in->at), file);
    fclose(file);
    corpus_count++;
}

static int
compare_names(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

/* In order of names: a seed draws from the same corpus everywhere. */
static void
load_all(const char *folder)
{
    char *names[FILES_MAX];
    size_t count = 0;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        perror(folder);
        exit(1);
    }
    while ((entry = readdir(dir)) != NULL && count < FILES_MAX) {
        if (entry->d_name[0] == '.')
            continue;
        names[count] = strdup(entry->d_name);
        PROMISE(names[count] != NULL);
        count++;
    }
    closedir(dir);
    qsort(names, count, sizeof(names[0]), compare_names);
    for (size_t i = 0; i < count; i++) {
        load(folder, names[i]);
        free(names[i]);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s CORPUS-DIR [MUTATIONS [SEED]]\n", argv[0]);
        return 2;
    }
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    random_state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    random_state += random_state == 0;
    load_all(argv[1]);
    if (corpus_count == 0) {
        fprintf(stderr, "%s: no files\n", argv[1]);
        return 1;
    }
    printf("%zu files, %lu mutations, seed %s\n", corpus_count, count,
           argc > 3 ? argv[3] : "1");
    fflush(stdout);
    struct input empty = {.len = 0};
    run(&empty);
    for (size_t i = 0; i < corpus_count; i++)
        run(&corpus[i]);
    for (unsigned long n = 0; n < count; n++) {
        struct input in = corpus[draw(corpus_count)];
        for (uint64_t edits = 1 + draw(EDITS_MAX); edits > 0; edits--)
            edit(&in);
        run(&in);
    }
    return 0;
}

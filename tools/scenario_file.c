/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a scenario file: lines, words, comments, arrows. */
#define _GNU_SOURCE
#include "tools/scenario_reader.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
scenario_refuse(struct scenario_reader *r, const char *format, ...)
{
    char words[400];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    /* Whatever the file holds, its refusal is one printable line. */
    for (char *at = words; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            *at = '?';
        }
    }
    bk_text_init(r->error, r->error->at, r->error->cap);
    bk_text_put(r->error, r->scenario->path);
    bk_text_put(r->error, ":");
    bk_text_put_u64(r->error, r->line);
    bk_text_put(r->error, ": ");
    bk_text_put(r->error, words);
    return false;
}

void *
scenario_append(struct scenario_reader *r, void **array, size_t *count,
                size_t size)
{
    char *more = realloc(*array, (*count + 1) * size);
    if (more == NULL) {
        scenario_refuse(r, "out of memory");
        return NULL;
    }
    *array = more;
    void *element = more + *count * size;
    memset(element, 0, size);
    *count += 1;
    return element;
}

static struct scenario_use *
find_use(const struct scenario *s, const char *word)
{
    for (size_t i = 0; i < s->use_count; i++) {
        if (strcmp(s->uses[i].word, word) == 0) {
            return &s->uses[i];
        }
    }
    return NULL;
}

bool
scenario_is_name(const struct scenario *s, const char *word)
{
    const struct scenario_use *use = find_use(s, word);
    return use != NULL && use->is_name;
}

bool
scenario_use(struct scenario_reader *r, const char *word, bool is_name)
{
    const struct scenario_use *known = find_use(r->scenario, word);
    if (known != NULL && known->is_name != is_name) {
        return scenario_refuse(r, "%s is %s (line %u) and may not be %s", word,
                               known->is_name ? "the name of a permit or token"
                                              : "a service",
                               known->line,
                               is_name ? "a permit's or token's name as well"
                                       : "a service as well");
    }
    if (known != NULL) {
        return true;
    }
    struct scenario_use *use = scenario_append(
        r, (void **)&r->scenario->uses, &r->scenario->use_count, sizeof(*use));
    if (use == NULL) {
        return false;
    }
    *use = (struct scenario_use){word, r->line, is_name};
    return true;
}

const struct bk_route *
scenario_route(const struct scenario *s, const char *name)
{
    for (size_t i = 0; i < s->route_count; i++) {
        if (strcmp(s->routes[i].name, name) == 0) {
            return &s->routes[i];
        }
    }
    return NULL;
}

/* Reads what the file holds; NULL, or why not. */
static const char *
read_all(FILE *file, char *text)
{
    size_t len = fread(text, 1, SCENARIO_FILE_BYTES_MAX + 1, file);
    if (ferror(file)) {
        return strerror(errno);
    }
    if (len > SCENARIO_FILE_BYTES_MAX) {
        return "larger than 1 MiB";
    }
    if (memchr(text, '\0', len) != NULL) {
        return "a NUL octet: not a text file";
    }
    text[len] = '\0';
    return NULL;
}

/* The whole file; NULL with the sentence. */
static char *
slurp(const char *path, struct bk_text *error)
{
    FILE *file = fopen(path, "rb");
    const char *trouble = file == NULL ? strerror(errno) : NULL;
    char *text = file == NULL ? NULL : malloc(SCENARIO_FILE_BYTES_MAX + 1);
    if (text != NULL) {
        trouble = read_all(file, text);
    } else if (file != NULL) {
        trouble = "out of memory";
    }
    if (file != NULL) {
        fclose(file);
    }
    if (trouble == NULL) {
        return text;
    }
    bk_text_put(error, "cannot read ");
    bk_text_put(error, path);
    bk_text_put(error, ": ");
    bk_text_put(error, trouble);
    free(text);
    return NULL;
}

/* Ends the line at its comment: a # at its start or behind white space. The
 * file's first comment becomes its title. */
static void
cut_comment(struct scenario *s, char *line)
{
    for (char *at = line; *at != '\0'; at++) {
        bool is_comment =
            *at == '#' && (at == line || strchr(" \t", at[-1]) != NULL);
        if (is_comment) {
            *at = '\0';
            at++;
            if (s->title[0] == '\0') {
                at += strspn(at, "# \t");
                at[strcspn(at, "\r")] = '\0';
                s->title = at;
            }
            return;
        }
    }
}

static bool
split(struct scenario_reader *r, char *line)
{
    char *rest = NULL;
    r->count = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word != NULL;
         word = strtok_r(NULL, " \t\r", &rest)) {
        if (r->count == SCENARIO_WORDS_MAX) {
            return scenario_refuse(r, "more than %d words in a line",
                                   SCENARIO_WORDS_MAX);
        }
        r->words[r->count++] = word;
    }
    r->arrow = r->count;
    for (size_t i = r->count; i > 0; i--) {
        if (strcmp(r->words[i - 1], "->") == 0) {
            r->arrow = i - 1;
        }
    }
    return true;
}

/* An arrow's words belong to the step of this line, or, where a line has
 * nothing else, to the step above. */
static bool
read_expectation(struct scenario_reader *r)
{
    struct scenario *s = r->scenario;
    if (s->step_count == 0) {
        return scenario_refuse(r, "an expectation with nothing before it");
    }
    char words[160];
    struct bk_text clause;
    bk_text_init(&clause, words, sizeof(words));
    if (!scenario_expect_add(&s->steps[s->step_count - 1].expects,
                             r->words + r->arrow + 1, r->count - r->arrow - 1,
                             &clause)) {
        return scenario_refuse(r, "%s", words);
    }
    return true;
}

static bool
read_line(struct scenario_reader *r, char *line)
{
    cut_comment(r->scenario, line);
    if (!split(r, line)) {
        return false;
    }
    if (r->arrow > 0) {
        bool is_declaration = false;
        if (!scenario_read_declaration(r, &is_declaration)) {
            return false;
        }
        if (is_declaration && r->arrow < r->count) {
            return scenario_refuse(r, "%s expects no answer", r->words[0]);
        }
        if (!is_declaration && !scenario_read_step(r)) {
            return false;
        }
    }
    return r->arrow == r->count || read_expectation(r);
}

bool
scenario_load(struct scenario *s, const char *path, struct bk_text *error)
{
    *s = (struct scenario){.path = path, .title = ""};
    s->text = slurp(path, error);
    if (s->text == NULL) {
        return false;
    }
    struct scenario_reader r = {.scenario = s, .error = error};
    char *next = s->text;
    while (next != NULL) {
        char *line = next;
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        r.line++;
        if (!read_line(&r, line)) {
            scenario_free(s);
            return false;
        }
    }
    return true;
}

void
scenario_free(struct scenario *s)
{
    for (size_t i = 0; i < s->step_count; i++) {
        free(s->steps[i].pairs);
        scenario_expect_free(&s->steps[i].expects);
    }
    free(s->steps);
    free(s->uses);
    free(s->routes);
    free(s->settings);
    free(s->text);
    *s = (struct scenario){.path = s->path, .title = ""};
}

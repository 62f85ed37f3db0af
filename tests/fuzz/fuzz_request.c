/* SPDX-License-Identifier: Apache-2.0
 *
 * Request lines. What is accepted lies within the line and within its bounds, and
 * says the same after it was written anew. */
#include "core/wire.h"
#include "target.h"
#include <string.h>

static const char *line;
static size_t line_len;

static void
check_word(struct bk_word w)
{
    if (w.at == NULL) {
        PROMISE(w.len == 0);
        return;
    }
    PROMISE(w.len > 0);
    PROMISE(w.at >= line && w.at + w.len <= line + line_len);
}

static void
check_bounds(const struct bk_request *r)
{
    PROMISE(r->command < BK_CMD_COUNT);
    check_word(r->service);
    check_word(r->text);
    check_word(r->key);
    check_word(r->value);
    PROMISE(r->service.at == NULL || r->is_all ||
            bk_name_is_valid(r->service.at, r->service.len));
    PROMISE(r->id < BK_NUMBER_END && r->generation < BK_NUMBER_END);
    PROMISE(r->attempt < BK_NUMBER_END && r->latency_us < BK_NUMBER_END);
    PROMISE(r->duration_ms < BK_NUMBER_END && r->count < BK_NUMBER_END);
    PROMISE(r->outcome >= 0 && r->outcome < BK_OUTCOME_COUNT);
    PROMISE(r->command != BK_CMD_ACQUIRE || r->attempt > 0);
    PROMISE(r->command != BK_CMD_RETRY || r->attempt > 0);
}

/* Writes the commands that clients write; false for the others. */
static bool
write_again(const struct bk_request *r, struct bk_text *out)
{
    char service[BK_NAME_SIZE];
    char text[BK_LINE_MAX + 1];
    bk_copy_text(service, sizeof(service), r->service.at, r->service.len);
    bk_copy_text(text, sizeof(text), r->text.at, r->text.len);
    if (r->command == BK_CMD_ACQUIRE) {
        bk_write_acquire(out, service, r->attempt, r->id, r->duration_ms);
    } else if (r->command == BK_CMD_REPORT || r->command == BK_CMD_REPORTQ) {
        bk_write_report(out, r->command == BK_CMD_REPORTQ, service, r->id,
                        r->is_current, r->generation,
                        (enum bk_outcome)r->outcome,
                        r->has_latency ? (int64_t)r->latency_us : -1,
                        r->attempt, r->will_retry, r->duration_ms, text);
    } else if (r->command == BK_CMD_RETRY) {
        bk_write_retry(out, service, r->attempt, (enum bk_outcome)r->outcome,
                       r->duration_ms);
    } else if (r->command == BK_CMD_RELEASE) {
        bk_write_release(out, r->id);
    } else if (r->command == BK_CMD_RENEW) {
        bk_write_renew(out, r->id, r->duration_ms);
    } else {
        return false;
    }
    return true;
}

static void
check_same(const struct bk_request *a, const struct bk_request *b)
{
    PROMISE(a->command == b->command && a->id == b->id);
    PROMISE(a->generation == b->generation && a->attempt == b->attempt);
    PROMISE(a->has_latency == b->has_latency);
    PROMISE(a->latency_us == b->latency_us);
    PROMISE(a->duration_ms == b->duration_ms && a->outcome == b->outcome);
    PROMISE(a->is_current == b->is_current);
    PROMISE(a->will_retry == b->will_retry);
    PROMISE(a->service.len == b->service.len);
    /* A line written anew may have more words before its text. */
    PROMISE(b->text.len <= a->text.len);
    if (b->text.len > 0)
        PROMISE(memcmp(a->text.at, b->text.at, b->text.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bk_request request;
    const char *why = NULL;
    line = (const char *)data;
    line_len = size;
    enum bk_error error = bk_request_parse(line, line_len, &request, &why);
    PROMISE((error == BK_OK) == (why == NULL));
    if (error != BK_OK) {
        PROMISE(error == BK_ERR_BAD_REQUEST || error == BK_ERR_BAD_SERVICE ||
                error == BK_ERR_UNKNOWN_COMMAND);
        PROMISE(request.command <= BK_CMD_COUNT);
        return 0;
    }
    check_bounds(&request);
    char room[2 * BK_LINE_MAX];
    struct bk_text out;
    bk_text_init(&out, room, sizeof(room));
    if (write_again(&request, &out)) {
        struct bk_request again;
        PROMISE(!out.is_cut && out.len <= BK_LINE_MAX);
        PROMISE(bk_request_parse(room, out.len, &again, &why) == BK_OK);
        check_same(&request, &again);
    }
    return 0;
}

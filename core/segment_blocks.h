#ifndef BK_SEGMENT_BLOCKS_H
#define BK_SEGMENT_BLOCKS_H
/* SPDX-License-Identifier: Apache-2.0
 *
 * What is not said of every service (counts for metrics, outcomes that counted against
 * it, an operator's words) lies in blocks of one cache line at the end of the segment,
 * which a service takes when there is something to say and gives back when it goes.
 * Its blocks are a chain: a word for each service leads to the first, the first word
 * of a block says what is in it, whose it is and which is next. */
#include "core/image.h"
#include "core/segment.h"

/* Of a block, behind the word that says what it is. */
#define BK_BLOCK_ROOM (BK_BLOCK_WORDS - 1)
#define BK_BLOCKS_FOR(words) (((words) + BK_BLOCK_ROOM - 1) / BK_BLOCK_ROOM)

/* Words of one service's record: its sequence number and its image. The pending
 * record has as many, with its slot in the number's place. */
#define BK_RECORD_WORDS (1 + BK_RECORD_BYTES / sizeof(uint64_t) + 1)

/* An operator's words: the end of a record, which names one of two places, so that
 * those in force are whole while others are written. */
#define BK_WORDS_OFFSET BK_RECORD_BYTES
#define BK_WORDS_BYTES (sizeof(struct bk_record) - BK_WORDS_OFFSET)
#define BK_WORDS_PLACES 2

/* What a block holds: counts, or a part of an image, of the first part's number. */
#define BK_EVIDENCE_PARTS BK_BLOCKS_FOR(BK_IMAGE_WORDS(struct bk_evidence))
#define BK_WORDS_PARTS BK_BLOCKS_FOR(BK_WORDS_BYTES / sizeof(uint64_t) + 1)
#define BK_BLOCK_STATS 0
#define BK_BLOCK_EVIDENCE 1
#define BK_BLOCK_WORDS_OF \
    (BK_BLOCK_EVIDENCE + BK_EVIDENCE_COUNT * BK_EVIDENCE_PARTS)
#define BK_BLOCK_KINDS (BK_BLOCK_WORDS_OF + BK_WORDS_PLACES * BK_WORDS_PARTS)
/* A longer chain is damaged: one with counts said twice may be this long. */
#define BK_CHAIN_MOST (BK_BLOCKS_MOST + BK_BLOCKS_FOR(BK_STAT_WORDS))

/* One block after another of a service's, copied. */
struct bk_chain {
    const struct bk_segment *segment;
    uint64_t owner;
    uint64_t next; /* block + 1, or 0 */
    uint32_t left; /* at most so many more: a damaged chain may have no end */
    uint32_t at;   /* the block it is at */
    size_t what;
    uint64_t words[BK_BLOCK_ROOM];
};
void bk_chain_begin(struct bk_chain *c, const struct bk_segment *s,
                    uint32_t slot);
/* False at the end, or when the block belongs to another by now. */
bool bk_chain_next(struct bk_chain *c);

/* A count in a block: its place in struct bk_stats and the number, in one word. */
uint64_t bk_cell_pack(size_t word, uint64_t value);
/* False for an empty one, and what no daemon writes. */
bool bk_cell_unpack(uint64_t cell, size_t *word, uint64_t *value);

/* An operator's words in the service's place 1 or 2, into the end of `out`: empty
 * when they are not there whole. */
void bk_blocks_read_words(const struct bk_segment *s, uint32_t slot,
                          uint32_t place, struct bk_record *out);

/* The writer. Each is false when there was no block to be had. */
bool bk_blocks_put_stats(struct bk_segment *s, struct bk_fleet *f,
                         uint32_t slot, const struct bk_stats *stats);
bool bk_blocks_put_evidence(struct bk_segment *s, uint32_t slot, uint32_t place,
                            const struct bk_evidence *e);
/* Where the words of `record` are, perhaps by now; `shown` is the place that the
 * published record names. 0: nowhere. */
uint32_t bk_blocks_put_words(struct bk_segment *s, uint32_t slot,
                             uint32_t shown, const struct bk_record *record);
/* Gives back all of a service's. */
void bk_blocks_free(struct bk_segment *s, uint32_t slot);

#endif

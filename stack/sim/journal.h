/* What writing and reading a journal have in common. */
#ifndef TG_SIM_JOURNAL_H
#define TG_SIM_JOURNAL_H

#include "base/base.h"
#include "base/chain.h"
#include "tapglass_journal.h"

#define JOURNAL_MAGIC       0x4c4e524a534c4754ull /* "TGLSJRNL" */
#define JOURNAL_VERSION     2u
#define JOURNAL_HEAD_BYTES  8u
#define JOURNAL_CHAIN_BYTES 8u
#define JOURNAL_CHECK_CALLS 1024u /* calls between two CHECK records */
/* Words and lengths in front of the strings, at most. */
#define JOURNAL_WORDS_MAX (TG_RECORD_WORDS + TG_FRAME_SPANS)

/* Sizes of what a journal and an instance hold: another build has other ones, mostly. */
uint64_t journal_layout(void);
/* Words of a record of type t; 0: no such type. */
uint32_t journal_words(unsigned t);
/* Hashes the trace records since *cursor into *hash. */
void journal_hash_trace(const struct tg *s, uint64_t *cursor, uint64_t *hash);
uint64_t journal_hash_counters(const struct tg *s);
/* Is a record of type t told before the call is made? */
static inline bool journal_told_before(unsigned t)
{
	return t == TG_RECORD_INPUT || t == TG_RECORD_STEP;
}
/* Does t stand for a call? */
static inline bool journal_is_call(unsigned t)
{
	return t > TG_RECORD_PASS && t < TG_RECORD_COUNT;
}

/* journal_read.c: the replay ends, unless it has already. */
void journal_stop(struct tg_replay *p, enum tg_replay_state state, const char *why);
bool journal_damaged(struct tg_replay *p, const char *why); /* false */
/* Reads the record at p->at into p->rec, the next one being at p->next; takes nothing yet. */
bool journal_read(struct tg_replay *p);
/* The record that was read is dealt with. */
void journal_take(struct tg_replay *p);
/* The i-th string, if it has just that length. */
bool journal_string(
	struct tg_replay *p, const struct tg_record *r, unsigned i, void *out, size_t bytes);

#endif

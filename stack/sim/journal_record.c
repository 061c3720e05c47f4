/* Recording: frames each call into a record, chains the hashes, keeps the journal within its limit.
 * The end is written even then, so that a reader knows that nothing is missing but what came after.
 *
 * The trace and the counters are hashed as the run goes, at moments that a replay meets as well:
 * after a call, or before one that is told before it is made. */
#include "sim/journal.h"

#include "core/core.h"

#define END_BYTES (JOURNAL_HEAD_BYTES + 3 * 8 + JOURNAL_CHAIN_BYTES)

static const struct {
	const char *call;
	uint8_t words;
} types[] = {{"-", 0},
#define X(NAME, call, words) {call, words},
	TG_RECORD_LIST(X)
#undef X
};

const char *tg_record_call(enum tg_record_type t)
{
	return t < TG_RECORD_COUNT ? types[t].call : "-";
}

uint32_t journal_words(unsigned t)
{
	return t < TG_RECORD_COUNT ? types[t].words : 0;
}

uint64_t journal_layout(void)
{
	const uint64_t sizes[] = {sizeof(struct tg), sizeof(struct tg_config),
		sizeof(struct tg_counters), sizeof(struct tg_trace), TG_DROP_COUNT,
		TG_RECORD_COUNT};

	return chain_hash(JOURNAL_VERSION, sizes, sizeof(sizes));
}

void journal_hash_trace(const struct tg *s, uint64_t *cursor, uint64_t *hash)
{
	struct tg_trace t;

	while (tg_trace_next(s, cursor, &t, NULL))
		*hash = chain_hash(*hash, &t, sizeof(t));
}

uint64_t journal_hash_counters(const struct tg *s)
{
	return chain_hash(0, tg_counters(s), sizeof(struct tg_counters));
}

const char *tg_record_end_text(enum tg_record_end e)
{
	switch (e) {
	case TG_RECORD_GOES_ON: return "it goes on";
	case TG_RECORD_STOPPED: return "it was stopped";
	case TG_RECORD_WRITE_ERROR: return "the journal could not be written";
	case TG_RECORD_LIMIT: return "the journal reached its limit";
	case TG_RECORD_TOO_LONG: return "a call had more bytes than a record holds";
	case TG_RECORD_PKTS: return "too many packets were out at once";
	}
	return "?";
}

static void put_bytes(struct tg_recorder *r, const void *data, size_t n)
{
	if (r->ended != TG_RECORD_WRITE_ERROR && !r->write(r->arg, data, n))
		r->ended = TG_RECORD_WRITE_ERROR;
	r->bytes += n;
}

static void put(struct tg_recorder *r, const struct tg_record *rec)
{
	uint64_t word[JOURNAL_WORDS_MAX];
	uint8_t head[JOURNAL_HEAD_BYTES] = {0};
	uint32_t n = rec->n_words + rec->n_data, payload = n * 8;

	memcpy(word, rec->word, rec->n_words * sizeof(word[0]));
	for (unsigned i = 0; i < rec->n_data; i++) {
		word[rec->n_words + i] = rec->data[i].len;
		payload += rec->data[i].len;
	}
	memcpy(head, &payload, sizeof(payload));
	head[4] = rec->type;
	head[5] = rec->n_words;
	head[6] = rec->n_data;
	r->chain = chain_hash(r->chain, head, sizeof(head));
	r->chain = chain_hash(r->chain, word, n * 8);
	put_bytes(r, head, sizeof(head));
	put_bytes(r, word, n * 8);
	for (unsigned i = 0; i < rec->n_data; i++) {
		if (rec->data[i].len == 0)
			continue;
		r->chain = chain_hash(r->chain, rec->data[i].base, rec->data[i].len);
		put_bytes(r, rec->data[i].base, rec->data[i].len);
	}
	put_bytes(r, &r->chain, sizeof(r->chain));
}

static uint64_t record_bytes(const struct tg_record *rec)
{
	uint64_t n = JOURNAL_HEAD_BYTES + (rec->n_words + (uint64_t)rec->n_data) * 8;

	for (unsigned i = 0; i < rec->n_data; i++)
		n += rec->data[i].len;
	return n + JOURNAL_CHAIN_BYTES;
}

static void end_recording(struct tg_recorder *r, enum tg_record_end why)
{
	const struct tg_record end = {.type = TG_RECORD_END,
		.n_words = 3,
		.word = {why, r->trace_hash, journal_hash_counters(r->s)}};

	if (r->ended)
		return;
	put(r, &end);
	if (!r->ended)
		r->ended = (uint8_t)why;
}

/* The lengths that a replay has to find room for. */
static bool too_long(const struct tg_record *rec)
{
	bool moves_bytes = rec->type == TG_RECORD_SOCK_SEND || rec->type == TG_RECORD_SOCK_RECV ||
			   rec->type == TG_RECORD_SOCK_SENDTO ||
			   rec->type == TG_RECORD_SOCK_RECVFROM;

	return record_bytes(rec) >= TG_RECORD_BYTES_MAX ||
	       (moves_bytes && rec->word[1] > TG_RECORD_BYTES_MAX);
}

static void count_pkts(struct tg_recorder *r, const struct tg_record *rec)
{
	if (rec->type == TG_RECORD_PKT_ALLOC && rec->word[1])
		r->pkts++;
	else if ((rec->type == TG_RECORD_PKT_FREE || rec->type == TG_RECORD_INPUT) && r->pkts)
		r->pkts--;
}

static void check_now_and_then(struct tg_recorder *r)
{
	const struct tg_record check = {.type = TG_RECORD_CHECK,
		.n_words = 3,
		.word = {r->calls, r->trace_hash, journal_hash_counters(r->s)}};

	put(r, &check);
}

static void record(struct tg_recorder *r, const struct tg_record *rec)
{
	if (r->ended)
		return;
	count_pkts(r, rec);
	if (too_long(rec))
		end_recording(r, TG_RECORD_TOO_LONG);
	else if (r->pkts > TG_JOURNAL_PKTS_MAX)
		end_recording(r, TG_RECORD_PKTS);
	else if (r->bytes + record_bytes(rec) + 2 * END_BYTES > r->max_bytes)
		end_recording(r, TG_RECORD_LIMIT);
	if (r->ended)
		return;
	if (journal_told_before(rec->type)) {
		journal_hash_trace(r->s, &r->trace_cursor, &r->trace_hash);
		if (r->calls / JOURNAL_CHECK_CALLS != r->checked) {
			r->checked = r->calls / JOURNAL_CHECK_CALLS;
			check_now_and_then(r);
		}
	}
	put(r, rec);
	if (!journal_is_call(rec->type))
		return;
	r->calls++;
	if (!journal_told_before(rec->type))
		journal_hash_trace(r->s, &r->trace_cursor, &r->trace_hash);
}

/* Nothing but what tg_create does has been done to s. */
static bool is_fresh(const struct tg *s)
{
	return s->n_netifs == 1 && s->handles.n_used == 0 && s->frame == 0 && s->trace_head == 0 &&
	       s->lo_count == 0 && s->conn_serial == 0;
}

int tg_record_start(struct tg_recorder *r, struct tg *s, const char *build)
{
	char name[64] = {0};
	struct tg_record begin = {.type = TG_RECORD_BEGIN, .n_words = 6, .n_data = 2};
	struct tg_memory mem;
	struct tg_config c = s->cfg;

	if (s->recorder)
		return -TG_EBUSY;
	if (!is_fresh(s) || !r->write)
		return -TG_EINVAL;
	*r = (struct tg_recorder){.write = r->write, .arg = r->arg, .max_bytes = r->max_bytes};
	r->s = s;
	r->record = record;
	c.csum = NULL;
	for (unsigned i = 0; i + 1 < sizeof(name) && build[i]; i++)
		name[i] = build[i];
	tg_memory_stats(s, &mem);
	begin.word[0] = JOURNAL_MAGIC;
	begin.word[1] = JOURNAL_VERSION;
	begin.word[2] = journal_layout();
	begin.word[3] = mem.reserved_bytes;
	begin.word[4] = s->now_ns;
	begin.word[5] = TG_RECORD_BYTES_MAX;
	begin.data[0] = (struct tg_span){name, sizeof(name)};
	begin.data[1] = (struct tg_span){&c, sizeof(c)};
	put(r, &begin);
	if (r->ended)
		return -TG_ENOBUFS;
	s->recorder = r;
	return 0;
}

enum tg_record_end tg_record_stop(struct tg_recorder *r)
{
	if (r->s && r->s->recorder == r) {
		journal_hash_trace(r->s, &r->trace_cursor, &r->trace_hash);
		end_recording(r, TG_RECORD_STOPPED);
		r->s->recorder = NULL;
	}
	return (enum tg_record_end)r->ended;
}

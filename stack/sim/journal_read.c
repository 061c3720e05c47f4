/* Reading a journal: one record after the other, of which none is believed before its hash fits. A
 * file that ends early or was changed is good up to there. */
#include "sim/journal.h"

void journal_stop(struct tg_replay *p, enum tg_replay_state state, const char *why)
{
	if (p->state != TG_REPLAY_MORE)
		return;
	p->state = (uint8_t)state;
	p->why = why;
}

static bool cut(struct tg_replay *p)
{
	journal_stop(p, TG_REPLAY_CUT, "the journal ends within a record");
	return false;
}

bool journal_damaged(struct tg_replay *p, const char *why)
{
	journal_stop(p, TG_REPLAY_DAMAGED, why);
	return false;
}

/* Reads lengths and strings: at the first of n lengths, left bytes from there to the payload's end.
 */
static bool read_strings(struct tg_record *rec, const uint8_t *at, uint64_t left)
{
	const uint8_t *bytes = at + rec->n_data * 8ull;
	uint64_t len;

	left -= rec->n_data * 8ull;
	for (unsigned i = 0; i < rec->n_data; i++, at += 8) {
		memcpy(&len, at, sizeof(len));
		if (len > left)
			return false;
		rec->data[i] = (struct tg_span){bytes, (uint32_t)len};
		bytes += len;
		left -= len;
	}
	return left == 0;
}

static uint64_t chain_of(const struct tg_replay *p, const struct tg_record *rec, const uint8_t *at)
{
	uint64_t h = chain_hash(p->chain, at, JOURNAL_HEAD_BYTES);

	h = chain_hash(h, at + JOURNAL_HEAD_BYTES, (rec->n_words + (size_t)rec->n_data) * 8);
	for (unsigned i = 0; i < rec->n_data; i++)
		if (rec->data[i].len)
			h = chain_hash(h, rec->data[i].base, rec->data[i].len);
	return h;
}

/* Reads the record at p->at into p->rec, the next one being at p->next; takes nothing yet. */
bool journal_read(struct tg_replay *p)
{
	const uint8_t *at = p->file + p->at;
	uint64_t left = p->bytes - p->at, chain, h;
	struct tg_record *rec = &p->rec;
	uint32_t payload;

	if (left == 0) {
		journal_stop(p, TG_REPLAY_CUT, "the journal has no end record");
		return false;
	}
	if (left < JOURNAL_HEAD_BYTES + JOURNAL_CHAIN_BYTES)
		return cut(p);
	memcpy(&payload, at, sizeof(payload));
	*rec = (struct tg_record){.type = at[4], .n_words = at[5], .n_data = at[6]};
	if (payload > TG_RECORD_BYTES_MAX || rec->n_data > TG_FRAME_SPANS || at[7] != 0 ||
		rec->n_words == 0 || rec->n_words != journal_words(rec->type) ||
		payload < (rec->n_words + (uint32_t)rec->n_data) * 8)
		return journal_damaged(p, "the record's head is impossible");
	if (left < JOURNAL_HEAD_BYTES + (uint64_t)payload + JOURNAL_CHAIN_BYTES)
		return cut(p);
	memcpy(rec->word, at + JOURNAL_HEAD_BYTES, rec->n_words * 8ull);
	if (!read_strings(rec, at + JOURNAL_HEAD_BYTES + rec->n_words * 8ull,
		    payload - rec->n_words * 8ull))
		return journal_damaged(p, "the record's lengths are impossible");
	h = chain_of(p, rec, at);
	memcpy(&chain, at + JOURNAL_HEAD_BYTES + payload, sizeof(chain));
	if (h != chain)
		return journal_damaged(p, "the record's hash does not fit");
	p->next = p->at + JOURNAL_HEAD_BYTES + payload + JOURNAL_CHAIN_BYTES;
	return true;
}

/* The record that was read is dealt with. */
void journal_take(struct tg_replay *p)
{
	memcpy(&p->chain, p->file + p->next - JOURNAL_CHAIN_BYTES, sizeof(p->chain));
	p->at = p->next;
}

/* The i-th string, if it has just that length. */
bool journal_string(
	struct tg_replay *p, const struct tg_record *r, unsigned i, void *out, size_t bytes)
{
	if (i >= r->n_data || r->data[i].len != bytes)
		return journal_damaged(p, "a record lacks what belongs to it");
	memcpy(out, r->data[i].base, bytes);
	return true;
}

/* A byte of a file need not be a bool. */
static void bool_repair(bool *b)
{
	uint8_t v;

	memcpy(&v, b, 1);
	*b = v != 0;
}

static void config_repair(struct tg_config *c)
{
	bool *const flag[] = {&c->ip.icmp_echo, &c->ip.no_pmtu_disc, &c->tcp.moderate_rcvbuf,
		&c->tcp.window_scaling, &c->tcp.timestamps, &c->tcp.sack, &c->tcp.dsack,
		&c->tcp.tlp, &c->tcp.limited_transmit, &c->tcp.prr, &c->tcp.undo, &c->tcp.fast_path,
		&c->tcp.hystart, &c->tcp.pacing, &c->tcp.isn_fixed};

	c->csum = NULL;
	for (unsigned i = 0; i < ARRAY_LEN(flag); i++)
		bool_repair(flag[i]);
}

bool tg_replay_open(struct tg_replay *p, const void *file, size_t bytes)
{
	const uint64_t magic = JOURNAL_MAGIC;
	const struct tg_record *r = &p->rec;

	memset(p, 0, sizeof(*p));
	p->file = file;
	p->bytes = bytes;
	if (bytes < JOURNAL_HEAD_BYTES + sizeof(magic) ||
		memcmp(p->file + JOURNAL_HEAD_BYTES, &magic, sizeof(magic)) != 0)
		return journal_damaged(p, "not a journal");
	if (!journal_read(p))
		return false;
	if (r->type != TG_RECORD_BEGIN)
		return journal_damaged(p, "not a journal");
	if (r->word[1] != JOURNAL_VERSION)
		return journal_damaged(p, "a journal of another version");
	if (r->word[2] != journal_layout() || r->word[5] != TG_RECORD_BYTES_MAX)
		return journal_damaged(p, "a journal of another build");
	if (!journal_string(p, r, 0, p->build, sizeof(p->build)) ||
		!journal_string(p, r, 1, &p->config, sizeof(p->config)))
		return false;
	p->build[sizeof(p->build) - 1] = 0;
	config_repair(&p->config);
	p->reserved_bytes = r->word[3];
	p->start_ns = r->word[4];
	journal_take(p);
	return true;
}

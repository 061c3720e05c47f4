/* What the core tells a recorder: packets taken and given back, and what became of frames. The
 * calls are told by sock/boundary.c; what is made of it is sim/journal_record.c's affair. */
#include "core/core_impl.h"

#include "base/chain.h"

void record_call(struct tg *s, const struct tg_record *r)
{
	if (s->recorder)
		s->recorder->record(s->recorder, r);
}

void record_pkt_alloc(struct tg *s, const struct tg_pkt *p, uint32_t bytes)
{
	const struct tg_record r = {
		.type = TG_RECORD_PKT_ALLOC, .n_words = 2, .word = {bytes, record_pkt_id(s, p)}};

	record_call(s, &r);
}

void record_pkt_free(struct tg *s, const struct tg_pkt *p)
{
	const struct tg_record r = {
		.type = TG_RECORD_PKT_FREE, .n_words = 1, .word = {record_pkt_id(s, p)}};

	record_call(s, &r);
}

void record_transmit(struct tg *s, const struct netif *n, const struct tg_frame *f, bool taken)
{
	struct tg_record r = {.type = TG_RECORD_TRANSMIT, .n_words = 4};

	r.word[0] = n->index;
	r.word[1] = taken;
	r.word[2] = f->bytes;
	r.word[3] = tg_frame_hash(f);
	record_call(s, &r);
}

void record_pass(struct tg *s, const struct netif *n, const struct tg_pkt *p, bool taken)
{
	struct tg_record r = {.type = TG_RECORD_PASS, .n_words = 4};

	r.word[0] = n->index;
	r.word[1] = p->mark;
	r.word[2] = taken;
	r.word[3] = record_pass_hash(p);
	record_call(s, &r);
}

uint64_t record_pass_hash(const struct tg_pkt *p)
{
	const uint64_t meta[2] = {p->len, (uint64_t)p->passed << 32 | (uint64_t)p->gso_size << 16 |
						  (uint64_t)p->gso << 8 | p->csum};

	return chain_hash(chain_hash(0, meta, sizeof(meta)), p->data, p->len);
}

uint64_t tg_frame_hash(const struct tg_frame *f)
{
	const uint64_t meta[4] = {f->bytes, (uint64_t)f->hdr_bytes << 16 | f->gso_size,
		(uint64_t)f->gso << 8 | f->csum_partial,
		f->csum_partial ? (uint64_t)f->csum_start << 16 | f->csum_offset : 0};
	uint64_t h = chain_hash(0, meta, sizeof(meta));

	for (uint32_t i = 0; i < f->n_spans; i++)
		h = chain_hash(h, f->span[i].base, f->span[i].len);
	return h;
}

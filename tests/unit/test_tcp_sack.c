/* Which SACK blocks are believed, and what of them counts (RFC 2018 4, RFC 2883 4). Against a model
 * of every byte: test_tcp_ranges.c. */
#include "tcp_support.h"

#define MSS 1000u

static struct tcp_world *w;
static struct tcp_conn *c;
static struct seq base; /* the first byte in flight */

static void setup(void)
{
	static const uint8_t text[20 * MSS];
	struct tg_config cfg;

	world_config(&cfg);
	cfg.tcp.initial_window_segs = 20;
	w = tw_new(&cfg);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS | TCP_HAS_SACK_PERM, .mss = MSS};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	c = w->c;
	base = c->snd.una;
	ck_assert_int_eq(
		tg_sock_send(w->s, w->conn, text, sizeof(text), 0, w->now_ns), sizeof(text));
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(seq_dist(c->snd.nxt, c->snd.una), 20 * MSS);
}

static void teardown(void)
{
	tw_end(w);
}

static void sack_one(uint32_t lo, uint32_t hi)
{
	struct loss_ack a = {0};
	struct tcp_rx r;

	memset(&r, 0, sizeof(r));
	r.s = w->s;
	r.g.ack = c->snd.una;
	r.g.opts.has = TCP_HAS_SACK;
	r.g.opts.n_sack = 1;
	r.g.opts.sack[0] = (struct tcp_sack_block){seq_add(base, lo), seq_add(base, hi)};
	tcp_sack_blocks(c, &r, &a);
	UNIT_CHECK(a.newly_sacked == hi - lo);
}

/* [2883 4] A single block above SEG.ACK is no D-SACK, wherever in the sequence space it lies; nor
 * is anything believed of a peer that SACK was not agreed on with [2018 2]. */
START_TEST (test_one_block) {
	for (uint32_t at = 0; at < 8; at++) {
		struct loss_ack a = {0};
		struct tcp_rx r;

		memset(&r, 0, sizeof(r));
		r.s = w->s;
		c->snd.una = seq_of((at << 29) - 500);
		c->snd.max = c->snd.nxt = seq_add(c->snd.una, 5000);
		r.g.ack = c->snd.una;
		r.g.opts.has = TCP_HAS_SACK;
		r.g.opts.n_sack = 1;
		r.g.opts.sack[0] =
			(struct tcp_sack_block){seq_add(c->snd.una, 100), seq_add(c->snd.una, 900)};
		c->sack_ok = at & 2 || at & 4;
		tcp_sack_blocks(c, &r, &a);
		UNIT_CHECK(!a.dsack && a.sack_present == c->sack_ok);
		r.g.opts.has = 0;
		a.sack_present = false;
		tcp_sack_blocks(c, &r, &a);
		UNIT_CHECK(!a.dsack && !a.sack_present);
	}
}
END_TEST

/* Blocks come highest first, in one ACK or in many: of what they tell the highest counts, what
 * touches is one record, and one that begins half the sequence space back is not believed for its
 * end. */
START_TEST (test_blocks) {
	struct loss_ack a = {0};
	struct tcp_rx r;
	uint32_t n = 0;

	memset(&r, 0, sizeof(r));
	r.s = w->s;
	r.g.ack = c->snd.una;
	r.g.opts.has = TCP_HAS_SACK;
	r.g.opts.n_sack = 3;
	r.g.opts.sack[0] = (struct tcp_sack_block){seq_add(base, 8 * MSS), seq_add(base, 9 * MSS)};
	r.g.opts.sack[1] = (struct tcp_sack_block){seq_add(base, 3 * MSS), seq_add(base, 4 * MSS)};
	r.g.opts.sack[2] =
		(struct tcp_sack_block){seq_add(base, 0x80000000u + MSS), seq_add(base, 12 * MSS)};
	tcp_sack_blocks(c, &r, &a);
	UNIT_CHECK(a.newly_sacked == 2 * MSS);
	UNIT_CHECK(seq_eq(a.high_sacked, seq_add(base, 9 * MSS)));
	UNIT_CHECK(seq_eq(c->tx->high_sacked, a.high_sacked));
	for (uint32_t at = 4 * MSS; at < 8 * MSS; at += MSS / 10)
		sack_one(at, at + MSS / 10);
	UNIT_CHECK(c->tx->sacked_bytes == 6 * MSS);
	list_for_each (it, &c->tx->ranges) {
		struct tcp_range *q = list_entry(it, struct tcp_range, node);

		n += (q->flags & RANGE_SACKED) != 0;
	}
	UNIT_CHECK(n == 2); /* each joined the one before it */
}
END_TEST

static Suite *tcp_sack_suite(void)
{
	Suite *suite = suite_create("tcp sack");
	TCase *t = tcase_create("blocks");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_one_block);
	tcase_add_test(t, test_blocks);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_sack_suite)

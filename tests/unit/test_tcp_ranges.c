/* The records of what is in flight (tcp_tx.c) and the SACK scoreboard over them (tcp_sack.c)
 * against one mark for each byte: random sends, cumulative ACKs, SACK blocks of all kinds,
 * retransmissions and timeouts, near the wrap of sequence numbers; also while memory fails. Who is
 * lost is DupThresh's to say here; with RACK the marks are taken as they come, and the records in
 * flight have to be in the order of their times. */
#include "tcp_support.h"

#define BYTES_MAX 400000u
#define MSS       1000u

static struct tcp_world *w;
static struct tcp_conn *c;
static struct unit_rng rng;

/* Offsets count from the first byte ever sent. */
static struct {
	uint8_t mark[BYTES_MAX]; /* RANGE_SACKED, RANGE_LOST, RANGE_RETRANS */
	uint32_t una, nxt, high_sacked;
	bool rescued;
	uint64_t delivered;
} m;

static struct seq base;
static bool by_time; /* RACK */

static uint32_t off_of(struct seq q)
{
	return seq_dist(q, base);
}

/* ---- Comparing ---- */

static void count_record(const struct tcp_range *r, uint32_t count[3])
{
	UNIT_CHECK(!(r->flags & RANGE_SACKED) || !(r->flags & (RANGE_LOST | RANGE_RETRANS)));
	count[0] += r->flags & RANGE_SACKED ? range_bytes(r) : 0;
	count[1] += r->flags & RANGE_LOST ? range_bytes(r) : 0;
	count[2] += r->flags & RANGE_RETRANS ? range_bytes(r) : 0;
}

/* Exactly what is in flight, the oldest first. */
static void check_by_time(uint32_t in_flight)
{
	const struct tcp_range *last = NULL;
	uint32_t n = 0;

	list_for_each (it, &c->tx->by_time) {
		struct tcp_range *r = list_entry(it, struct tcp_range, sent);

		UNIT_CHECK(!last || r->sent_ns >= last->sent_ns);
		UNIT_CHECK(!last || tcp_sent_after(r->sent_nth, r->end, last->sent_nth, last->end));
		UNIT_CHECK(!(r->flags & RANGE_SACKED));
		last = r;
		n++;
	}
	UNIT_CHECK(n == in_flight);
}

static const uint8_t marks = RANGE_SACKED | RANGE_LOST | RANGE_RETRANS;

/* The list is contiguous and the counters are its sums; marks of the model too, unless `adopt`:
 * then the model takes the list's. */
static void check_list(bool adopt)
{
	uint32_t at = m.una, n = 0, count[3] = {0}, in_flight = 0;

	list_for_each (it, &c->tx->ranges) {
		struct tcp_range *r = list_entry(it, struct tcp_range, node);

		UNIT_CHECK(off_of(r->start) == at && seq_lt(r->start, r->end));
		for (; at < off_of(r->end); at++) {
			UNIT_CHECK(adopt || m.mark[at] == (r->flags & marks));
			m.mark[at] = r->flags & marks;
		}
		count_record(r, count);
		in_flight += !(r->flags & RANGE_SACKED) &&
			     (r->flags & (RANGE_LOST | RANGE_RETRANS)) != RANGE_LOST;
		n++;
	}
	check_by_time(in_flight);
	UNIT_CHECK(at == m.nxt && n == c->tx->n_ranges && n <= TCP_RANGES_MAX);
	UNIT_CHECK(count[0] == c->tx->sacked_bytes);
	UNIT_CHECK(count[1] == c->tx->lost_bytes);
	UNIT_CHECK(count[2] == c->tx->retrans_bytes);
}

/* [6675 4] SetPipe over every octet, with HighRxt byte by byte. */
static uint32_t naive_pipe(void)
{
	uint32_t pipe = 0;

	for (uint32_t i = m.una; i < m.nxt; i++) {
		if (m.mark[i] & RANGE_SACKED)
			continue;
		pipe += m.mark[i] & RANGE_LOST ? 0 : 1;
		pipe += m.mark[i] & RANGE_RETRANS ? 1 : 0;
	}
	return pipe;
}

static void check_all(bool adopt)
{
	check_list(adopt);
	UNIT_CHECK(tcp_pipe(c) == naive_pipe());
	UNIT_CHECK(c->delivered == m.delivered);
}

/* ---- The model ---- */

/* [6675 4] IsLost, byte by byte: more than (DupThresh - 1) * SMSS bytes or DupThresh runs SACKed
 * above. */
static void naive_lost(void)
{
	uint32_t bytes = 0, runs = 0;

	for (uint32_t i = m.nxt; i-- > m.una;) {
		if (m.mark[i] & RANGE_SACKED) {
			bytes++;
			runs += i + 1 == m.nxt || !(m.mark[i + 1] & RANGE_SACKED);
		} else if ((bytes > (TCP_DUPTHRESH - 1) * MSS || runs >= TCP_DUPTHRESH) &&
			   !(m.mark[i] & RANGE_RETRANS)) {
			m.mark[i] |= RANGE_LOST;
		}
	}
}

/* A block as the receiver reports it; returns the bytes that are new. */
static uint32_t naive_sack(struct seq start, struct seq end)
{
	uint32_t lo, hi = off_of(end), n = 0;

	if (!seq_lt(start, end) || seq_gt(end, c->snd.nxt) || seq_le(end, c->snd.una))
		return 0;
	lo = off_of(seq_max(start, c->snd.una));
	for (uint32_t i = lo; i < hi; i++) {
		n += !(m.mark[i] & RANGE_SACKED);
		m.mark[i] = RANGE_SACKED;
	}
	if (n)
		m.high_sacked = max_u32(m.high_sacked, hi);
	return n;
}

/* ---- Operations ---- */

static void op_send(void)
{
	static const uint8_t text[20 * MSS + 1];
	uint32_t n = 1 + unit_below(&rng, unit_below(&rng, 4) ? MSS : 20 * MSS), unsent;
	struct tcp_range *r;

	if (m.nxt + n > BYTES_MAX)
		return;
	unsent = tcp_unsent(c);
	if (unsent < n) { /* now and then a byte stays behind: then nothing goes speculatively */
		uint32_t more = n - unsent + (unit_below(&rng, 8) == 0);

		UNIT_CHECK(tg_sock_send(w->s, w->conn, text, more, 0, w->now_ns) == more);
	}
	r = range_new(w->s, c, c->snd.nxt, c->snd.nxt);
	if (!r)
		return;
	r->end = seq_add(r->start, n);
	list_push_back(&c->tx->ranges, &r->node);
	range_sent(w->s, c, r);
	c->snd.nxt = r->end;
	c->snd.max = r->end;
	m.nxt += n;
}

static uint32_t some_offset(void)
{
	return m.una + unit_below(&rng, m.nxt - m.una + 1);
}

static struct tcp_sack_block some_block(void)
{
	uint32_t kind = unit_below(&rng, 12), a = some_offset(), b;
	struct tcp_sack_block s;

	b = min_u32(m.nxt, a + 1 + unit_below(&rng, 3 * MSS));
	s = (struct tcp_sack_block){seq_add(base, a), seq_add(base, b)};
	if (kind == 0) /* the wrong way round */
		s = (struct tcp_sack_block){s.end, s.start};
	if (kind == 1) /* of what was never sent */
		s.end = seq_add(c->snd.nxt, 1 + unit_below(&rng, 100));
	if (kind == 2) /* begins below SND.UNA */
		s.start = seq_sub(c->snd.una, unit_below(&rng, 5000));
	if (kind == 3) /* anywhere */
		s = (struct tcp_sack_block){
			seq_of((uint32_t)unit_u64(&rng)), seq_of((uint32_t)unit_u64(&rng))};
	if (kind == 4)
		s.end = s.start;
	return s;
}

static bool dsack_first(const struct tcp_seg *g)
{
	const struct tcp_sack_block *b = g->opts.sack;

	if (seq_lt(b[0].start, g->ack))
		return true;
	return g->opts.n_sack > 1 && seq_ge(b[0].start, b[1].start) && seq_le(b[0].end, b[1].end);
}

/* Could it report text of ours? */
static bool dsack_possible(const struct tcp_sack_block *b)
{
	int32_t lo = seq_diff(b->start, c->snd.una), hi = seq_diff(b->end, c->snd.una);

	return lo < hi && hi <= (int32_t)(m.nxt - m.una) && lo >= -(int32_t)c->snd.max_wnd;
}

/* Has recovery begun (anew)? Then the first segment is taken for lost, whatever the blocks say. */
static void naive_recovery(uint8_t before, struct seq recover)
{
	const struct tcp_range *r;
	uint32_t end;

	if (c->recovery != REC_RECOVERY)
		return;
	if (before == REC_RECOVERY && seq_eq(recover, c->recover))
		return;
	UNIT_CHECK(seq_eq(c->recover, c->snd.nxt));
	m.rescued = false;
	if (m.mark[m.una] & marks)
		return;
	r = list_entry(c->tx->ranges.next, struct tcp_range, node);
	end = min_u32(off_of(r->end), m.una + MSS);
	for (uint32_t k = m.una; k < end; k++)
		m.mark[k] |= RANGE_LOST;
}

/* An ACK without news of its own number, with SACK blocks. */
static void op_sack(bool failing)
{
	struct tcp_rx r;
	struct loss_ack a = {0};
	struct seq recover = c->recover;
	uint8_t before = c->recovery;
	uint32_t fresh = 0;

	memset(&r, 0, sizeof(r));
	r.s = w->s;
	r.g.ack = c->snd.una;
	r.g.opts.has = TCP_HAS_SACK;
	r.g.opts.n_sack = (uint8_t)(1 + unit_below(&rng, TCP_SACK_MAX));
	for (uint8_t i = 0; i < r.g.opts.n_sack; i++)
		r.g.opts.sack[i] = some_block();
	if (list_empty(&c->tx->ranges))
		return;
	for (uint8_t i = dsack_first(&r.g) ? 1 : 0; i < r.g.opts.n_sack; i++)
		fresh += naive_sack(r.g.opts.sack[i].start, r.g.opts.sack[i].end);
	tcp_sack_blocks(c, &r, &a);
	UNIT_CHECK(a.sack_present);
	UNIT_CHECK(a.dsack == (dsack_first(&r.g) && dsack_possible(&r.g.opts.sack[0])));
	UNIT_CHECK(failing || a.newly_sacked == fresh);
	m.delivered += a.newly_sacked;
	check_list(failing);
	UNIT_CHECK(failing || !m.high_sacked ||
		   off_of(c->tx->high_sacked) == max_u32(m.high_sacked, m.una));
	tcp_loss_ack(w->s, c, &a);
	if (c->tx->sacked_bytes)
		naive_lost();
	naive_recovery(before, recover);
	check_all(failing);
}

/* A cumulative ACK, through step 5's own function. */
static void op_ack(bool failing)
{
	uint32_t to = unit_below(&rng, 4) ? m.una + unit_below(&rng, 3 * MSS) : some_offset();
	struct seq recover = c->recover;
	uint8_t before = c->recovery;
	struct tcp_rx r;

	to = min_u32(to, m.nxt - (m.nxt > m.una));
	if (to <= m.una)
		return;
	memset(&r, 0, sizeof(r));
	r.s = w->s;
	r.g.ack = seq_add(base, to);
	for (uint32_t i = m.una; i < to; i++)
		m.delivered += !(m.mark[i] & RANGE_SACKED);
	m.una = to;
	tcp_ack_advance(c, &r);
	UNIT_CHECK(seq_eq(c->snd.una, r.g.ack));
	UNIT_CHECK(off_of(c->tx->ring_seq) == m.una);
	if (c->tx->sacked_bytes)
		naive_lost();
	naive_recovery(before, recover);
	check_all(failing);
}

static void op_timeout(void)
{
	bool reneged;

	if (m.una == m.nxt)
		return;
	reneged = m.mark[m.una] & RANGE_SACKED;
	tcp_loss_timeout(w->s, c, true);
	for (uint32_t i = m.una; i < m.nxt; i++) {
		if (reneged) /* [2018 8] */
			m.mark[i] &= (uint8_t)~RANGE_SACKED;
		if (!(m.mark[i] & RANGE_SACKED))
			m.mark[i] = RANGE_LOST;
	}
	if (reneged)
		m.high_sacked = m.una;
	m.rescued = false;
	UNIT_CHECK(c->recovery == REC_LOSS);
	check_all(false);
}

/* [6675 4] NextSeg rules 1, 3 and 4 byte by byte: the first byte, or m.nxt for none. */
static uint32_t naive_next(void)
{
	for (uint32_t i = m.una; i < m.nxt; i++)
		if ((m.mark[i] & (RANGE_LOST | RANGE_RETRANS)) == RANGE_LOST)
			return i;
	if (c->recovery != REC_RECOVERY || tcp_unsent(c)) /* rule (2) comes first */
		return m.nxt;
	for (uint32_t i = m.una; i < m.high_sacked; i++)
		if (!(m.mark[i] & (RANGE_SACKED | RANGE_RETRANS)))
			return i;
	return m.nxt;
}

/* Sends again what comes next, as tcp_out.c does: whole or in part. */
static void op_resend(void)
{
	uint32_t at = naive_next(), n;
	struct tcp_range *r = tcp_loss_next(w->s, c);

	if (at == m.nxt) {
		if (!r)
			return;
		/* rule (4): once, the last segment */
		UNIT_CHECK(c->recovery == REC_RECOVERY && !m.rescued && off_of(r->end) == m.nxt);
		UNIT_CHECK(range_bytes(r) <= MSS && !(r->flags & marks));
		m.rescued = true;
		at = off_of(r->start);
	}
	UNIT_CHECK(r && off_of(r->start) == at);
	n = min_u32(range_bytes(r), 1 + unit_below(&rng, 2 * MSS));
	if (n < range_bytes(r) && !range_split(w->s, c, r, seq_add(r->start, n)))
		return;
	range_sent(w->s, c, r);
	range_mark(c, r, RANGE_RETRANS | RANGE_EVER, 0);
	for (uint32_t i = at; i < at + n; i++)
		m.mark[i] |= RANGE_RETRANS;
	check_all(false);
}

/* The same without a word on which. */
static void resend_any(void)
{
	struct tcp_range *r = tcp_loss_next(w->s, c);

	if (!r)
		return;
	UNIT_CHECK((r->flags & (RANGE_LOST | RANGE_RETRANS)) == RANGE_LOST);
	range_sent(w->s, c, r);
	range_mark(c, r, RANGE_RETRANS | RANGE_EVER, 0);
	tcp_undo_resent(w->s, c, r);
}

/* ---- Runs ---- */

static void begin(int run)
{
	struct tg_config cfg;

	unit_rng_start(&rng, run);
	memset(&m, 0, sizeof(m));
	world_config(&cfg);
	cfg.tcp.isn_fixed = true;
	cfg.tcp.isn = 0u - 1 - unit_below(&rng, BYTES_MAX);
	cfg.tcp.recovery = by_time ? TG_RECOVERY_RACK : 0;
	cfg.tcp.max_reordering = TCP_DUPTHRESH;
	cfg.tcp.undo = by_time;
	cfg.tcp.frto = by_time ? 2 : 0;
	w = tw_new(&cfg);
	w->syn_opts = tw_all_opts();
	w->syn_opts.mss = MSS;
	w->syn_opts.has &= (uint8_t)~TCP_HAS_TS;
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	tg_sock_setopt(w->s, w->conn, TG_SO_SNDBUF, 4 << 20, w->now_ns);
	c = w->c;
	base = c->snd.nxt;
	UNIT_CHECK(c->cc.mss == MSS);
	op_send();
}

/* [6675-1, 2018-4] */
START_TEST (test_random) {
	begin(_i);
	for (int i = 0; i < 500; i++) {
		switch (unit_below(&rng, 16)) {
		case 0:
		case 1:
		case 2: op_send(); break;
		case 3:
		case 4:
		case 5:
		case 6:
		case 7: op_sack(false); break;
		case 8:
		case 9: op_ack(false); break;
		case 10:
			if (unit_below(&rng, 4) == 0)
				op_timeout();
			break;
		default: op_resend(); break;
		}
		check_all(false);
	}
	tw_end(w);
}
END_TEST

/* With RACK: time goes on, and now and then its timers look. */
START_TEST (test_random_by_time) {
	by_time = true;
	begin(2000 + _i);
	for (int i = 0; i < 500; i++) {
		w->s->now_ns += unit_below(&rng, 3) * NS_PER_MS;
		switch (unit_below(&rng, 12)) {
		case 0:
		case 1:
		case 2: op_send(); break;
		case 3:
		case 4:
		case 5: op_sack(true); break;
		case 6:
		case 7: op_ack(true); break;
		case 8:
			if (unit_below(&rng, 4) == 0 && m.una != m.nxt)
				tcp_loss_timeout(w->s, c, true);
			break;
		case 9: tcp_loss_reo_timeout(w->s, c); break;
		default: resend_any(); break;
		}
		check_list(true);
		UNIT_CHECK(tcp_pipe(c) == naive_pipe());
		/* what is lost is in a recovery: the loss probe counts on it [8985 7.2] */
		UNIT_CHECK(c->recovery != REC_OPEN || c->tx->lost_bytes == 0);
	}
	tw_end(w);
	by_time = false;
}
END_TEST

/* Records that cannot be split for lack of memory leave sums and order as they should be. */
START_TEST (test_no_memory) {
	begin(1000 + _i);
	for (int i = 0; i < 400; i++) {
		if (m.nxt < 40 * MSS || unit_below(&rng, 8) == 0)
			op_send();
		tg_memory_fail_after(w->s, 1 + unit_below(&rng, 3), 1 + unit_below(&rng, 2));
		if (unit_below(&rng, 5))
			op_sack(true);
		else
			op_ack(true);
		tg_memory_fail_after(w->s, 0, 0);
	}
	tw_end(w);
}
END_TEST

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
	tcp_loss_ack(w->s, c, &a);
}

/* [6675 4] more than (DupThresh - 1) * SMSS bytes above, or DupThresh runs: not one byte or run
 * less. */
/* [6675-2] */
START_TEST (test_threshold) {
	begin(9);
	while (m.nxt < 10 * MSS)
		op_send();
	if (_i == 0) {
		sack_one(3 * MSS, 5 * MSS);
		UNIT_CHECK(c->tx->lost_bytes == 0 && c->recovery == REC_OPEN);
		sack_one(3 * MSS, 5 * MSS + 1);
	} else {
		sack_one(3 * MSS, 3 * MSS + 1);
		sack_one(3 * MSS + 2, 3 * MSS + 3);
		UNIT_CHECK(c->tx->lost_bytes == 0 && c->recovery == REC_OPEN);
		sack_one(3 * MSS + 4, 3 * MSS + 5);
	}
	UNIT_CHECK(c->tx->lost_bytes == 3 * MSS && c->recovery == REC_RECOVERY);
	tw_end(w);
}
END_TEST

/* Every second byte SACKed, until there are no more records to be had. */
START_TEST (test_limit) {
	begin(7);
	for (unsigned i = 0; i < 300; i++)
		op_send();
	while (c->tx->n_ranges + 2 <= tcp_ranges_max(c)) {
		struct loss_ack a = {0};
		struct tcp_rx r;
		uint32_t at = some_offset();

		memset(&r, 0, sizeof(r));
		r.s = w->s;
		r.g.ack = c->snd.una;
		r.g.opts.has = TCP_HAS_SACK;
		r.g.opts.n_sack = 1;
		r.g.opts.sack[0] = (struct tcp_sack_block){
			seq_add(base, at), seq_add(base, min_u32(at + 1, m.nxt))};
		tcp_sack_blocks(c, &r, &a);
		m.delivered += a.newly_sacked;
	}
	check_list(true);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t at = some_offset();

		sack_one(at, min_u32(at + 1, m.nxt));
		UNIT_CHECK(c->tx->n_ranges <= tcp_ranges_max(c));
	}
	check_list(true);
	m.delivered = c->delivered;
	for (int i = 0; i < 50; i++)
		op_sack(true);
	UNIT_CHECK(c->tx->n_ranges <= tcp_ranges_max(c));
	for (int i = 0; i < 200; i++)
		op_ack(true);
	tw_end(w);
}
END_TEST

/* [5681 3.2 (4)] without SACK, each duplicate ACK takes one segment off what is in the network. */
/* [6675-3] */
START_TEST (test_pipe_without_sack) {
	begin(3);
	c->sack_ok = false;
	while (m.nxt < 10 * MSS)
		op_send();
	for (uint8_t i = 0; i < 20; i++) {
		c->dup_acks = i;
		UNIT_CHECK(tcp_pipe(c) == max_u32(m.nxt - min_u32(i * MSS, m.nxt), MSS));
	}
	c->dup_acks = 0;
	tw_end(w);
}
END_TEST

static Suite *tcp_ranges_suite(void)
{
	Suite *suite = suite_create("tcp ranges");
	TCase *t = tcase_create("model");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_random, 0, getenv("TG_TEST_BRIEF") ? 8 : 40);
	tcase_add_loop_test(t, test_random_by_time, 0, getenv("TG_TEST_BRIEF") ? 8 : 40);
	tcase_add_loop_test(t, test_no_memory, 0, getenv("TG_TEST_BRIEF") ? 3 : 15);
	tcase_add_loop_test(t, test_threshold, 0, 2);
	tcase_add_test(t, test_limit);
	tcase_add_test(t, test_pipe_without_sack);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_ranges_suite)

/* Invariants of state, trace, counters and memory. The table of legal moves is read off Figure 5 of
 * RFC 9293 and the event texts of 3.10, independently of the stack's. Memory is looked at from
 * inside: what an instance keeps for reuse (pages of handles, hash segments, neighbours, the
 * reader's reserve) is deducted, the rest must be what it was after set-up. */
#include "sim.h"

#include "core/core.h"
#include "ip/ip_private.h"
#include "tcp/tcp.h"
#include "udp/udp_impl.h"

/* ---- Legal moves ---- */

#define C(cause) (1ull << TG_CAUSE_##cause)
/* How any synchronized state may end. */
#define ENDS                                                                                       \
	(C(RST) | C(ABORT_CALL) | C(UNREAD_DATA) | C(RETRIES_OUT) | C(USER_TIMEOUT) |              \
		C(KEEPALIVE_OUT))
#define OPEN_FAILS                                                                                 \
	(C(ABORT_CALL) | C(RST_REFUSED) | C(RETRIES_OUT) | C(USER_TIMEOUT) | C(ICMP_HARD) |        \
		C(NO_ROUTE) | C(NO_MEMORY))

static const struct {
	uint8_t from, to;
	uint64_t causes;
} moves[] = {
	{TG_CLOSED, TG_LISTEN, C(LISTEN_CALL)},
	{TG_CLOSED, TG_SYN_SENT, C(CONNECT_CALL)},
	{TG_LISTEN, TG_SYN_RECEIVED, C(SYN) | C(SYN_COOKIE)},
	{TG_LISTEN, TG_CLOSED, C(CLOSE_CALL) | C(ABORT_CALL)},
	{TG_SYN_SENT, TG_SYN_RECEIVED, C(SYN_CROSSING)},
	{TG_SYN_SENT, TG_ESTABLISHED, C(SYN_ACK)},
	{TG_SYN_SENT, TG_CLOSED, C(CLOSE_CALL) | OPEN_FAILS},
	{TG_SYN_RECEIVED, TG_ESTABLISHED, C(ACK_OF_SYN)},
	{TG_SYN_RECEIVED, TG_FIN_WAIT_1, C(CLOSE_CALL)},
	{TG_SYN_RECEIVED, TG_CLOSE_WAIT, C(FIN)},
	{TG_SYN_RECEIVED, TG_LISTEN,
		C(RST_TO_LISTEN) | C(SYN) | C(RETRIES_OUT) | C(HALF_OPEN_EVICTED) | C(SYN_COOKIE)},
	{TG_SYN_RECEIVED, TG_CLOSED, C(LISTENER_CLOSED) | OPEN_FAILS},
	{TG_ESTABLISHED, TG_FIN_WAIT_1, C(CLOSE_CALL)},
	{TG_ESTABLISHED, TG_CLOSE_WAIT, C(FIN)},
	{TG_ESTABLISHED, TG_CLOSED, ENDS},
	{TG_FIN_WAIT_1, TG_FIN_WAIT_2, C(ACK_OF_FIN)},
	{TG_FIN_WAIT_1, TG_CLOSING, C(FIN)},
	{TG_FIN_WAIT_1, TG_CLOSED, ENDS},
	{TG_FIN_WAIT_2, TG_TIME_WAIT, C(FIN)},
	{TG_FIN_WAIT_2, TG_CLOSED, C(FIN_WAIT_2_OUT) | ENDS},
	{TG_CLOSE_WAIT, TG_LAST_ACK, C(CLOSE_CALL)},
	{TG_CLOSE_WAIT, TG_CLOSED, ENDS},
	{TG_CLOSING, TG_TIME_WAIT, C(ACK_OF_FIN)},
	{TG_CLOSING, TG_CLOSED, ENDS},
	{TG_LAST_ACK, TG_CLOSED, C(ACK_OF_FIN) | ENDS},
	{TG_TIME_WAIT, TG_CLOSED,
		C(TWO_MSL) | C(RST) | C(TIME_WAIT_REUSED) | C(TIME_WAIT_EVICTED) | C(NO_MEMORY)},
};

/* What all runs of this process together came across. */
static struct {
	uint64_t moves[ARRAY_LEN(moves)], causes[ARRAY_LEN(moves)];
	uint64_t drops[TG_DROP_COUNT];
	uint64_t bytes, retransmissions, fast_data, fast_acks, slow, failures, events, runs;
} covered;

static bool legal(unsigned from, unsigned to, unsigned cause)
{
	for (unsigned i = 0; i < ARRAY_LEN(moves); i++)
		if (moves[i].from == from && moves[i].to == to) {
			covered.moves[i]++;
			covered.causes[i] |= cause < 64 ? 1ull << cause : 0;
			return cause < 64 && (moves[i].causes >> cause & 1);
		}
	return false;
}

static bool counts(unsigned state)
{
	return state == TG_ESTABLISHED || state == TG_CLOSE_WAIT;
}

static void replay(unsigned h, const struct tg_trace *t)
{
	struct host *host = &sim->host[h];
	uint8_t *st = &host->conn_state[t->conn % SIM_CONNS];

	if (!legal(t->a, t->b, t->reason))
		sim_fail("host %u: illegal move %s -> %s: %s", h,
			tg_state_name((enum tg_state)t->a), tg_state_name((enum tg_state)t->b),
			tg_cause_text((enum tg_cause)t->reason));
	if (!t->conn) {
		/* compact records: half-open connections, TIME-WAIT without a socket */
		SIM_CHECK(t->a == TG_LISTEN || t->a == TG_SYN_RECEIVED || t->a == TG_TIME_WAIT);
		return;
	}
	SIM_CHECK(t->conn < SIM_CONNS);
	/* a connection begins CLOSED, or as a half-open one grown up */
	if (*st ? t->a != *st - 1 : t->a != TG_CLOSED && t->a != TG_SYN_RECEIVED)
		sim_fail("host %u connection %u: %s left, but it was %s", h, t->conn,
			tg_state_name((enum tg_state)t->a),
			tg_state_name((enum tg_state)(*st ? *st - 1 : 0)));
	host->curr_estab += (int)counts(t->b) - (int)counts(t->a);
	*st = (uint8_t)(t->b + 1);
}

static void print_record(unsigned h, const struct tg_trace *t)
{
	static const char *kinds[] = {"-", "in", "out", "state", "drop", "timer", "congestion",
		"call", "arp", "icmp", "udp", "reassembly", "neighbour", "impaired"};

	printf("%12.6f h%u #%-5u c%-3u %-10s ", (double)t->time_ns / 1e9 - 1000, h, t->frame,
		t->conn, kinds[t->kind % ARRAY_LEN(kinds)]);
	if (t->kind == TG_TRACE_STATE)
		printf("%s -> %s (%s) ", tg_state_name((enum tg_state)t->a),
			tg_state_name((enum tg_state)t->b),
			tg_cause_text((enum tg_cause)t->reason));
	else if (t->kind == TG_TRACE_DROP)
		printf("%s ", tg_drop_name((enum tg_drop)t->reason));
	else
		printf("a=%u b=%u ", t->a, t->b);
	printf("%u>%u flags=%02x seq=%u ack=%u len=%u wnd=%u aux=%d\n", t->lport, t->rport,
		t->tcp_flags, t->seq, t->ack, t->len, t->wnd, (int)t->aux);
}

void check_trace(unsigned h)
{
	struct host *host = &sim->host[h];
	struct tg_trace t;
	uint64_t lost = 0;

	while (tg_trace_next(host->s, &host->trace_cursor, &t, &lost)) {
		sim_hash(&t, sizeof(t));
		if (sim_watch.record)
			sim_watch.record(h, &t);
		if (sim->verbose)
			print_record(h, &t);
		if (t.kind == TG_TRACE_STATE)
			replay(h, &t);
	}
	SIM_CHECK(lost == 0);
}

/* ---- Counters ---- */

void check_counters(unsigned h)
{
	const struct tg_counters *n = tg_counters(sim->host[h].s);
	uint64_t dropped = 0, came = 0;
	struct wire_stats st;

	for (unsigned d = 0; d < TG_DROP_COUNT; d++)
		dropped += n->drops[d];
	for (unsigned w = 0; w + 1 < sim->plan.n_hosts; w++) {
		if (h != 0 && h != w + 1)
			continue;
		wire_get_stats(sim->wire[w], h == 0, &st);
		came += st.delivered;
	}
	SIM_CHECK(n->frames_in == n->frames_delivered + n->frames_dropped);
	SIM_CHECK(dropped == n->frames_dropped);
	SIM_CHECK(came == n->frames_in);
	SIM_CHECK(n->frames_out == sim->host[h].emitted_frames);
	check_trace(h);
	SIM_CHECK((int64_t)n->tcp_curr_estab == sim->host[h].curr_estab);
}

/* ---- Sockets ---- */

static void check_sequence(const struct tg_tcp_info *i)
{
	uint32_t flight = i->snd_nxt - i->snd_una;

	SIM_CHECK((int32_t)flight >= 0 && flight <= 1u << 30);
	SIM_CHECK(i->mss_snd >= 1 && i->cwnd_bytes >= i->mss_snd);
	SIM_CHECK(i->ssthresh_bytes >= 2 * i->mss_snd || i->cwnd_bytes == 0);
	SIM_CHECK(i->sacked_bytes + i->lost_bytes <= flight && i->retrans_bytes <= flight);
	SIM_CHECK(i->flight_bytes <= 2 * flight);
	SIM_CHECK(i->unacked_bytes <= flight);
}

static void check_socket(struct flow_end *x)
{
	const struct tg_config *c = &sim->plan.host[x->host].cfg;
	struct tg_tcp_info i;

	SIM_CHECK(tg_tcp_status(sim->host[x->host].s, x->k, &i) == 0);
	if (i.state < TG_ESTABLISHED || i.state == TG_TIME_WAIT)
		return;
	check_sequence(&i);
	SIM_CHECK(i.rto_ns >= min_u64(c->tcp.rto_min_ns, c->tcp.rto_max_ns) &&
		  i.rto_ns <= c->tcp.rto_max_ns);
	/* what is in flight has a timer */
	SIM_CHECK(i.snd_nxt == i.snd_una || i.rexmit_deadline_ns != NEVER_NS);
	/* the right edge of the window never goes back [9293 SHLD-14] */
	SIM_CHECK(!x->have_edge || (int32_t)(i.rcv_nxt + i.rcv_wnd - x->edge) >= 0);
	x->edge = i.rcv_nxt + i.rcv_wnd;
	x->have_edge = true;
	SIM_CHECK(i.unread_bytes <=
		  max_u32(c->tcp.rcvbuf_bytes, c->tcp.rcvbuf_max_bytes) + (1u << i.rcv_wscale));
	SIM_CHECK(i.bytes_received == (uint64_t)x->received + i.unread_bytes);
	SIM_CHECK(i.bytes_acked + i.unacked_bytes + i.unsent_bytes == x->sent);
}

void check_edges(void)
{
	for (uint32_t n = 0; n < 4 && sim->plan.n_flows; n++) {
		uint32_t at = sim->check_edge_at++ % (2 * sim->plan.n_flows);
		const struct flow_end *x = &sim->flow[at / 2].end[at % 2];
		unsigned ready = x->k && x->state == END_OPEN
					 ? tg_sock_ready(sim->host[x->host].s, x->k)
					 : 0;

		if (((ready & TG_IN) && !x->can_read && !x->eof) ||
			((ready & TG_OUT) && !x->can_write))
			sim_fail("flow %u end %u is ready (%x) and no event told", at / 2, at % 2,
				ready);
	}
}

void check_some_sockets(uint32_t how_many)
{
	for (uint32_t n = 0; n < how_many && sim->plan.n_flows; n++) {
		uint32_t at = sim->check_at++ % (2 * sim->plan.n_flows);
		struct flow_end *x = &sim->flow[at / 2].end[at % 2];

		if (x->k && x->state != END_DONE)
			check_socket(x);
	}
}

/* ---- The end ---- */

static uint64_t htab_bytes(const struct htab *t)
{
	uint64_t segs = (t->n_buckets + HTAB_SEG_BUCKETS - 1) / HTAB_SEG_BUCKETS;

	return segs * ARENA_PAGE_BYTES +
	       (t->dir_cap ? arena_capacity(t->dir_cap * sizeof(void *)) : 0);
}

/* What an instance keeps on purpose for what comes next. */
static uint64_t kept_bytes(const struct tg *s)
{
	const struct handle_table *t = &s->handles;
	uint64_t n = t->n_slots / (ARENA_PAGE_BYTES / 16) * ARENA_PAGE_BYTES;

	n += arena_capacity(t->dir_cap * sizeof(void *));
	n += htab_bytes(&s->tcp->conns) + htab_bytes(&s->tcp->ports);
	n += htab_bytes(&s->udp->ports) + htab_bytes(&s->udp->addrs) + htab_bytes(&s->udp->peers);
	n += htab_bytes(&s->ip->neigh_tab) + htab_bytes(&s->ip->reasm_tab);
	n += (s->ip->n_neighs_max - s->ip->n_neigh_free) * arena_capacity(sizeof(struct neigh));
	for (uint32_t i = 0; i < s->n_netifs; i++) /* announcements, before the first step */
		n += s->netif[i].ctl_bytes;
	for (const struct tg_pkt *p = s->reserve; p; p = p->next)
		n += ARENA_BLOCK_68K;
	return n;
}

uint64_t memory_in_use(unsigned h)
{
	struct tg_memory m;

	tg_memory_stats(sim->host[h].s, &m);
	return m.in_use_bytes - kept_bytes(sim->host[h].s);
}

bool sockets_left(unsigned h)
{
	struct tg_sock_row row;
	uint64_t cursor = 0;

	return tg_table_socks(sim->host[h].s, &cursor, &row);
}

static void cover(const struct tg *s)
{
	const struct tg_counters *n = tg_counters(s);
	struct tg_memory m;

	tg_memory_stats(s, &m);
	covered.failures += m.failures;
	covered.bytes += n->tcp_in_bytes;
	covered.retransmissions += n->tcp_retrans_segs;
	covered.fast_data += n->tcp_fast_path_data;
	covered.fast_acks += n->tcp_fast_path_acks;
	covered.slow += n->tcp_slow_path;
	for (unsigned d = 0; d < TG_DROP_COUNT; d++)
		covered.drops[d] += n->drops[d] + n->discards[d];
}

void check_print_coverage(void)
{
	printf("# %" PRIu64 " runs, %" PRIu64 " events, %" PRIu64 " bytes of text, %" PRIu64
	       " retransmissions, fast path %" PRIu64 " text %" PRIu64 " ACK, slow %" PRIu64
	       ", allocations failed %" PRIu64 "\n",
		covered.runs, covered.events, covered.bytes, covered.retransmissions,
		covered.fast_data, covered.fast_acks, covered.slow, covered.failures);
	for (unsigned i = 0; i < ARRAY_LEN(moves); i++) {
		printf("# %8" PRIu64 " %s -> %s, never because of:", covered.moves[i],
			tg_state_name((enum tg_state)moves[i].from),
			tg_state_name((enum tg_state)moves[i].to));
		for (unsigned c = 0; c < TG_CAUSE_COUNT; c++)
			if ((moves[i].causes & ~covered.causes[i]) >> c & 1)
				printf(" %s;", tg_cause_text((enum tg_cause)c));
		printf("\n");
	}
	for (unsigned d = 1; d < TG_DROP_COUNT; d++)
		if (covered.drops[d])
			printf("# %8" PRIu64 " %s\n", covered.drops[d],
				tg_drop_name((enum tg_drop)d));
}

void check_end(void)
{
	covered.runs++;
	covered.events += sim->events;
	for (unsigned h = 0; h < sim->plan.n_hosts; h++) {
		const struct tg *s = sim->host[h].s;
		uint64_t now_bytes = memory_in_use(h);
		struct tg_sock_row row = {0};
		uint64_t cursor = 0;

		if (tg_table_socks(s, &cursor, &row))
			sim_fail("host %u: a socket in state %s is left", h,
				tg_state_name((enum tg_state)row.state));
		SIM_CHECK(s->tcp->n_conns == 0 && s->handles.n_used == 0 &&
			  s->tcp->ports.n_nodes == 0);
		SIM_CHECK(sim->host[h].curr_estab == 0);
		if (now_bytes != sim->host[h].base_bytes)
			sim_fail("host %u: %" PRIu64 " bytes in use after set-up, %" PRIu64
				 " at the end",
				h, sim->host[h].base_bytes, now_bytes);
		arena_check(s->arena);
		cover(s);
		check_counters(h);
	}
}

/* The states of a connection: the table of legal moves, each with what may cause it, and the only
 * functions that make one (RFC 9293 3.3.2, Figure 5, and the RST, ABORT and time-out edges of
 * 3.10). Left out is LISTEN -> SYN-SENT by a SEND: with sockets a listener stays one (3.10.2). */
#include "core/rule.h"
#include "tcp/tcp.h"

#define BY(cause) (1u << TG_CAUSE_##cause)
/* What ends a connection that still has something to send, or to wait for. */
#define ENDS_QUIET (BY(RST) | BY(ABORT_CALL) | BY(UNREAD_DATA) | BY(KEEPALIVE_OUT))
#define ENDS       (ENDS_QUIET | BY(RETRIES_OUT) | BY(USER_TIMEOUT))
#define OPEN_FAILS                                                                                 \
	(BY(ABORT_CALL) | BY(RST_REFUSED) | BY(RETRIES_OUT) | BY(USER_TIMEOUT) | BY(ICMP_HARD))

_Static_assert(TG_CAUSE_COUNT <= 32, "a bit for every cause");

/* From each state to each other: what may lead there. */
static const uint32_t legal[TG_STATE_COUNT][TG_STATE_COUNT] = {
	[TG_CLOSED] = {[TG_LISTEN] = BY(LISTEN_CALL), [TG_SYN_SENT] = BY(CONNECT_CALL)},
	[TG_LISTEN] = {[TG_SYN_RECEIVED] = BY(SYN) | BY(SYN_COOKIE), [TG_CLOSED] = BY(CLOSE_CALL)},
	[TG_SYN_SENT] = {[TG_ESTABLISHED] = BY(SYN_ACK),
		[TG_SYN_RECEIVED] = BY(SYN_CROSSING),
		[TG_CLOSED] = BY(CLOSE_CALL) | BY(NO_ROUTE) | OPEN_FAILS},
	[TG_SYN_RECEIVED] = {[TG_ESTABLISHED] = BY(ACK_OF_SYN),
		[TG_FIN_WAIT_1] = BY(CLOSE_CALL),
		[TG_LISTEN] = BY(RST_TO_LISTEN) | BY(SYN) | BY(RETRIES_OUT) |
			      BY(HALF_OPEN_EVICTED) | BY(SYN_COOKIE) | BY(ICMP_HARD),
		[TG_CLOSED] = BY(LISTENER_CLOSED) | OPEN_FAILS},
	[TG_ESTABLISHED] =
		{[TG_FIN_WAIT_1] = BY(CLOSE_CALL), [TG_CLOSE_WAIT] = BY(FIN), [TG_CLOSED] = ENDS},
	/* A FIN that also acknowledges ours makes two moves: to FIN-WAIT-2 in the fifth step, to
	 * TIME-WAIT in the eighth. */
	[TG_FIN_WAIT_1] =
		{[TG_FIN_WAIT_2] = BY(ACK_OF_FIN), [TG_CLOSING] = BY(FIN), [TG_CLOSED] = ENDS},
	[TG_FIN_WAIT_2] = {[TG_TIME_WAIT] = BY(FIN), [TG_CLOSED] = BY(FIN_WAIT_2_OUT) | ENDS_QUIET},
	[TG_CLOSE_WAIT] = {[TG_LAST_ACK] = BY(CLOSE_CALL), [TG_CLOSED] = ENDS},
	[TG_CLOSING] = {[TG_TIME_WAIT] = BY(ACK_OF_FIN), [TG_CLOSED] = ENDS},
	[TG_LAST_ACK] = {[TG_CLOSED] = BY(ACK_OF_FIN) | ENDS},
	[TG_TIME_WAIT] = {[TG_CLOSED] = BY(TWO_MSL) | BY(RST) | BY(TIME_WAIT_REUSED) |
					BY(TIME_WAIT_EVICTED) | BY(NO_MEMORY)},
};

static bool is_legal(enum tg_state from, enum tg_state to, enum tg_cause why)
{
	return (unsigned)from < TG_STATE_COUNT && (unsigned)to < TG_STATE_COUNT &&
	       (unsigned)why < TG_CAUSE_COUNT && (legal[from][to] >> why & 1) != 0;
}

bool tg_move_is_legal(enum tg_state from, enum tg_state to)
{
	return (unsigned)from < TG_STATE_COUNT && (unsigned)to < TG_STATE_COUNT &&
	       legal[from][to] != 0;
}

bool tg_moves(uint32_t *cursor, struct tg_move *out)
{
	const uint32_t end = TG_STATE_COUNT * TG_STATE_COUNT * TG_CAUSE_COUNT;

	while (*cursor < end) {
		uint32_t i = (*cursor)++, edge = i / TG_CAUSE_COUNT;

		out->from = (uint8_t)(edge / TG_STATE_COUNT);
		out->to = (uint8_t)(edge % TG_STATE_COUNT);
		out->cause = (uint16_t)(i % TG_CAUSE_COUNT);
		if (is_legal((enum tg_state)out->from, (enum tg_state)out->to,
			    (enum tg_cause)out->cause))
			return true;
	}
	return false;
}

bool tg_move_seen(const struct tg *s, const struct tg_move *m)
{
	return s->rules && m->from < TG_STATE_COUNT && m->to < TG_STATE_COUNT &&
	       m->cause < TG_CAUSE_COUNT && (s->rules->moves[m->from][m->to] >> m->cause & 1) != 0;
}

/* The move is one of the table's; who notes rules has it noted. */
static void check_move(const struct tg *s, enum tg_state from, enum tg_state to, enum tg_cause why)
{
	ASSERT(is_legal(from, to, why));
	if (s->rules)
		s->rules->moves[from][to] |= 1u << why;
}

static void write_state(struct tcp_conn *c, enum tg_state st)
{
	c->state = (uint8_t)st;
}

void tcp_init_state(struct tcp_conn *c, enum tg_state st)
{
	write_state(c, st);
}

static void trace_state(enum tg_state from, enum tg_state to, enum tg_cause why, struct tg_trace *t)
{
	t->a = (uint8_t)from;
	t->b = (uint8_t)to;
	t->reason = (uint16_t)why;
}

/* tcpCurrEstab of RFC 4022 counts ESTABLISHED and CLOSE-WAIT. */
static bool counts_as_established(enum tg_state st)
{
	return st == TG_ESTABLISHED || st == TG_CLOSE_WAIT;
}

static void count_move(struct tg *s, enum tg_state from, enum tg_state to)
{
	struct tg_counters *n = &s->counters;

	if (counts_as_established(to) && !counts_as_established(from))
		n->tcp_curr_estab++;
	if (counts_as_established(from) && !counts_as_established(to))
		n->tcp_curr_estab--;
	if (to == TG_SYN_SENT)
		n->tcp_active_opens++;
	if (to == TG_CLOSED && (from == TG_SYN_SENT || from == TG_SYN_RECEIVED))
		n->tcp_attempt_fails++;
	if (to == TG_CLOSED && counts_as_established(from))
		n->tcp_estab_resets++;
}

void tcp_set_state(struct tg *s, struct tcp_conn *c, enum tg_state to, enum tg_cause why)
{
	enum tg_state from = (enum tg_state)c->state;
	struct tg_trace *t;

	check_move(s, from, to, why);
	write_state(c, to);
	count_move(s, from, to);
	t = trace_add(s, TG_TRACE_STATE);
	if (t) {
		tcp_trace_fill(t, c);
		trace_state(from, to, why, t);
	}
}

void tcp_trace_mini(struct tg *s, const struct tcp_mini *m, enum tg_state from, enum tg_state to,
	enum tg_cause why)
{
	struct tg_trace *t;

	check_move(s, from, to, why);
	if (from == TG_LISTEN && to == TG_SYN_RECEIVED)
		s->counters.tcp_passive_opens++;
	if (from == TG_SYN_RECEIVED && (to == TG_CLOSED || to == TG_LISTEN))
		s->counters.tcp_attempt_fails++;
	t = trace_add(s, TG_TRACE_STATE);
	if (!t)
		return;
	memcpy(t->raddr, m->raddr, sizeof(t->raddr));
	t->lport = m->lport;
	t->rport = m->rport;
	trace_state(from, to, why, t);
}

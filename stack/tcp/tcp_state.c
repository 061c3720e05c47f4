/* The states of a connection: the table of legal moves and the only function that makes one
 * (RFC 9293 3.3.2, Figure 5, and the RST, ABORT and time-out edges of 3.10). */
#include "tcp/tcp.h"

#define FROM(st) (1u << TG_##st)
#define SYNCHRONIZED                                                                               \
	(FROM(ESTABLISHED) | FROM(FIN_WAIT_1) | FROM(FIN_WAIT_2) | FROM(CLOSE_WAIT) |              \
		FROM(CLOSING) | FROM(LAST_ACK) | FROM(TIME_WAIT))

/* For each state those it may be entered from. */
static const uint16_t legal_from[TG_STATE_COUNT] = {
	/* Everything may end: RST, ABORT, time-out, or its natural end. */
	[TG_CLOSED] = FROM(LISTEN) | FROM(SYN_SENT) | FROM(SYN_RECEIVED) | SYNCHRONIZED,
	[TG_LISTEN] = FROM(CLOSED) | FROM(SYN_RECEIVED),
	[TG_SYN_SENT] = FROM(CLOSED) | FROM(LISTEN),
	[TG_SYN_RECEIVED] = FROM(LISTEN) | FROM(SYN_SENT) | FROM(TIME_WAIT),
	[TG_ESTABLISHED] = FROM(SYN_SENT) | FROM(SYN_RECEIVED),
	[TG_FIN_WAIT_1] = FROM(ESTABLISHED) | FROM(SYN_RECEIVED),
	[TG_FIN_WAIT_2] = FROM(FIN_WAIT_1),
	[TG_CLOSE_WAIT] = FROM(ESTABLISHED) | FROM(SYN_RECEIVED),
	[TG_CLOSING] = FROM(FIN_WAIT_1),
	[TG_LAST_ACK] = FROM(CLOSE_WAIT),
	[TG_TIME_WAIT] = FROM(FIN_WAIT_1) | FROM(FIN_WAIT_2) | FROM(CLOSING),
};

bool tcp_move_is_legal(enum tg_state from, enum tg_state to)
{
	return (unsigned)from < TG_STATE_COUNT && (unsigned)to < TG_STATE_COUNT &&
	       (legal_from[to] >> from & 1) != 0;
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

	ASSERT(tcp_move_is_legal(from, to));
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

	ASSERT(tcp_move_is_legal(from, to));
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

/* The packet-script engine: the stack's last trace records as text, for a script that failed.
 * Sequence numbers are the script's where its connection is known. */
#include "sim/drill.h"

#define SHOWN 14u

/* Our numbers as the script counts them. */
static uint32_t rel(const struct drill *d, const struct tg_trace *r, uint32_t seq)
{
	for (uint32_t i = 0; i < d->n_flows; i++)
		if (d->flows[i].lport == r->lport && d->flows[i].rport == r->rport)
			return seq - d->flows[i].local_off;
	return seq;
}

static void print_segment(const struct drill *d, struct text *t, const struct tg_trace *r, bool out)
{
	static const char letters[] = "FSRP.UEW";

	text_add(t, out ? "> " : "< ");
	for (uint32_t i = 0; i < 8; i++)
		if (r->tcp_flags & 1u << i)
			text_add(t, "%S", letters + i, (uint32_t)1);
	text_add(t, " seq %u len %u", out ? rel(d, r, r->seq) : r->seq, r->len);
	if (r->tcp_flags & TCP_ACK)
		text_add(t, " ack %u", out ? r->ack : rel(d, r, r->ack));
	text_add(t, " win %u", r->wnd);
	if (out && r->a)
		text_add(t, r->a == 1 ? " (again)" : " (probe)");
}

static void print_timer(struct text *t, const struct tg_trace *r)
{
	static const char *const timers[] = {"retransmission", "persist", "delayed ACK",
		"keepalive", "state", "user", "loss probe", "reordering"};

	text_add(t, "timer %s %s", r->a < ARRAY_LEN(timers) ? timers[r->a] : "?",
		r->b ? "expires" : "set");
	if (r->aux)
		text_add(t, " %t s", r->aux * NS_PER_US);
}

static void print_record(const struct drill *d, struct text *t, const struct tg_trace *r)
{
	static const char *const calls[] = {
		"OPEN", "SEND", "RECEIVE", "SHUTDOWN", "CLOSE", "ABORT"};

	text_add(t, "%t  ", r->time_ns - DRILL_START_NS);
	switch (r->kind) {
	case TG_TRACE_SEGMENT_IN:
	case TG_TRACE_SEGMENT_OUT: print_segment(d, t, r, r->kind == TG_TRACE_SEGMENT_OUT); break;
	case TG_TRACE_STATE:
		text_add(t, "%s -> %s: %s", tg_state_name((enum tg_state)r->a),
			tg_state_name((enum tg_state)r->b),
			tg_cause_text((enum tg_cause)r->reason));
		break;
	case TG_TRACE_DROP:
		text_add(t, "dropped: %s, %s", tg_drop_name((enum tg_drop)r->reason),
			tg_drop_text((enum tg_drop)r->reason));
		break;
	case TG_TRACE_TIMER: print_timer(t, r); break;
	case TG_TRACE_CALL:
		text_add(t, "call %s = %d", r->a < ARRAY_LEN(calls) ? calls[r->a] : "?",
			(int64_t)(int32_t)r->aux);
		break;
	case TG_TRACE_CONGESTION:
		text_add(t, "congestion: cwnd %u ssthresh %u flight %u", r->seq, r->ack, r->len);
		break;
	case TG_TRACE_ICMP:
		text_add(t, "%s icmp type %u code %u", r->wnd ? ">" : "<", (uint32_t)r->a,
			(uint32_t)r->b);
		break;
	case TG_TRACE_UDP:
		text_add(t, r->aux ? "%s udp (%u, %u each)" : "%s udp (%u)", r->b ? ">" : "<",
			r->len, r->aux);
		break;
	default: text_add(t, "record of kind %u", (uint32_t)r->kind); break;
	}
	text_add(t, "\n");
}

void drill_print_trace(const struct drill *d, struct text *t)
{
	struct tg_trace last[SHOWN], r;
	uint64_t cursor = 0;
	uint32_t n = 0;

	if (!d->s)
		return;
	while (tg_trace_next(d->s, &cursor, &r, NULL))
		last[n++ % SHOWN] = r;
	for (uint32_t i = n > SHOWN ? n - SHOWN : 0; i < n; i++)
		print_record(d, t, &last[i % SHOWN]);
}

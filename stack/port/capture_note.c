/* Comments of packets: state changes with their clause, drops with their reason, why a segment is
 * sent again. Clauses are RFC number and section, as the trace's tables have them. Left out: what
 * the packet's own bytes tell. */
#include "port/capture_note.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum loss_how { LOSS_UNKNOWN, LOSS_TIMEOUT, LOSS_FAST, LOSS_PERSIST, LOSS_KEEPALIVE };

void note_add(struct capture_notes *n, uint32_t which, const char *format, ...)
{
	va_list ap;

	if (n->n == CAPTURE_NOTES_MAX)
		return;
	n->note[n->n].which = which;
	va_start(ap, format);
	vsnprintf(n->note[n->n].text, sizeof(n->note[n->n].text), format, ap);
	va_end(ap);
	n->n++;
}

static bool is_clause(const char *clause)
{
	return clause[0] >= '0' && clause[0] <= '9';
}

static void note_state(struct capture_notes *n, const struct tg_trace *t)
{
	enum tg_cause why = (enum tg_cause)t->reason;
	const char *clause = tg_cause_clause(why);

	note_add(n, CAPTURE_NOTE_LAST, "%s -> %s (%s)", tg_state_name((enum tg_state)t->a),
		tg_state_name((enum tg_state)t->b),
		is_clause(clause) ? clause : tg_cause_text(why));
}

static void note_drop(struct capture_notes *n, const struct tg_trace *t)
{
	enum tg_drop why = (enum tg_drop)t->reason;
	const char *clause = tg_drop_clause(why);

	if (is_clause(clause))
		note_add(n, CAPTURE_NOTE_EACH, "dropped: %s (%s)", tg_drop_text(why), clause);
	else
		note_add(n, CAPTURE_NOTE_EACH, "dropped: %s", tg_drop_text(why));
}

static void note_congestion(struct capture_notes *n, const struct tg_trace *t)
{
	const char *what = NULL;

	switch ((int)t->a) {
	case TG_CONG_FAST_RETRANSMIT: what = "loss found: fast retransmit (5681 3.2)"; break;
	case TG_CONG_RECOVERED: what = "recovered (6582 3.2)"; break;
	case TG_CONG_UNDO: what = "that was no loss: undone"; break;
	default: break;
	}
	if (what)
		note_add(n, CAPTURE_NOTE_LAST, "%s, cwnd %u ssthresh %u", what, t->seq, t->ack);
}

static void note_reassembly(struct capture_notes *n, const struct tg_trace *t)
{
	static const char *const what[] = {
		"fragment held", "datagram complete", "reassembly timed out"};

	if (t->a < sizeof(what) / sizeof(what[0]))
		note_add(n, CAPTURE_NOTE_LAST, "%s (791 3.2)", what[t->a]);
}

void note_received(struct capture_notes *n, const struct tg_trace *t)
{
	switch ((int)t->kind) {
	case TG_TRACE_STATE: note_state(n, t); break;
	case TG_TRACE_DROP: note_drop(n, t); break;
	case TG_TRACE_CONGESTION: note_congestion(n, t); break;
	case TG_TRACE_REASSEMBLY: note_reassembly(n, t); break;
	default: break;
	}
}

/* ---- What is sent ---------------------------------------------------------------------------- */

static void set_loss(struct capture_why *w, uint32_t conn, enum loss_how how)
{
	w->loss[conn % WHY_RECORDS].conn = conn;
	w->loss[conn % WHY_RECORDS].how = (uint8_t)how;
}

static enum loss_how get_loss(const struct capture_why *w, uint32_t conn)
{
	return w->loss[conn % WHY_RECORDS].conn == conn
		       ? (enum loss_how)w->loss[conn % WHY_RECORDS].how
		       : LOSS_UNKNOWN;
}

static void take_timer(struct capture_why *w, const struct tg_trace *t)
{
	if (!t->b)
		return;
	switch ((int)t->a) {
	case TG_TIMER_REXMIT: set_loss(w, t->conn, LOSS_TIMEOUT); break;
	case TG_TIMER_PERSIST: set_loss(w, t->conn, LOSS_PERSIST); break;
	case TG_TIMER_KEEPALIVE: set_loss(w, t->conn, LOSS_KEEPALIVE); break;
	default: break;
	}
}

static void take_congestion(struct capture_why *w, const struct tg_trace *t)
{
	switch ((int)t->a) {
	case TG_CONG_FAST_RETRANSMIT: set_loss(w, t->conn, LOSS_FAST); break;
	case TG_CONG_RTO: set_loss(w, t->conn, LOSS_TIMEOUT); break;
	case TG_CONG_RECOVERED:
	case TG_CONG_UNDO: set_loss(w, t->conn, LOSS_UNKNOWN); break;
	default: break;
	}
}

void why_take(struct capture_why *w, const struct tg_trace *t)
{
	if (t->conn == 0)
		return; /* no segment could be told to belong to it */
	switch ((int)t->kind) {
	case TG_TRACE_STATE:
		if (t->frame == 0)
			w->move[w->next++ % WHY_RECORDS] = *t;
		break;
	case TG_TRACE_TIMER: take_timer(w, t); break;
	case TG_TRACE_CONGESTION: take_congestion(w, t); break;
	default: break;
	}
}

static void note_again(struct capture_notes *n, enum loss_how how)
{
	switch (how) {
	case LOSS_TIMEOUT:
		note_add(n, CAPTURE_NOTE_EACH, "retransmission: timeout (6298 5.4)");
		return;
	case LOSS_FAST:
		note_add(n, CAPTURE_NOTE_EACH, "retransmission: found lost (5681 3.2)");
		return;
	case LOSS_PERSIST:
	case LOSS_KEEPALIVE:
	case LOSS_UNKNOWN: break;
	}
	note_add(n, CAPTURE_NOTE_EACH, "retransmission");
}

static void note_probe(struct capture_notes *n, enum loss_how how)
{
	switch (how) {
	case LOSS_PERSIST:
		note_add(n, CAPTURE_NOTE_EACH, "probe: window is closed (9293 3.8.6.1)");
		return;
	case LOSS_KEEPALIVE:
		note_add(n, CAPTURE_NOTE_EACH, "probe: keepalive (9293 3.8.4)");
		return;
	case LOSS_TIMEOUT:
	case LOSS_FAST:
	case LOSS_UNKNOWN: break;
	}
	note_add(n, CAPTURE_NOTE_EACH, "probe");
}

void note_sent(struct capture_notes *n, struct capture_why *w, const struct tg_trace *t)
{
	for (unsigned i = 0; i < WHY_RECORDS && t->conn; i++) {
		struct tg_trace *m = &w->move[(w->next + i) % WHY_RECORDS];

		if (m->conn == t->conn) {
			note_state(n, m);
			m->conn = 0;
		}
	}
	if (t->a == 1)
		note_again(n, t->conn ? get_loss(w, t->conn) : LOSS_UNKNOWN);
	else if (t->a == 2)
		note_probe(n, t->conn ? get_loss(w, t->conn) : LOSS_UNKNOWN);
}

/* ---- Impairments ----------------------------------------------------------------------------- */

void note_impaired(struct capture_notes *n, uint32_t which, enum tg_impair_what what)
{
	static const char *const text[] = {
		[TG_IMPAIR_DROP] = "dropped",
		[TG_IMPAIR_DUP] = "duplicated",
		[TG_IMPAIR_REORDER] = "reordered",
		[TG_IMPAIR_CORRUPT] = "corrupted",
		[TG_IMPAIR_QUEUE] = "dropped, the queue is full",
	};

	if ((unsigned)what < sizeof(text) / sizeof(text[0]))
		note_add(n, which, "link: %s", text[what]);
}

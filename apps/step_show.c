/* What a stop looks like: the event that comes next, the rules that will decide, what will change;
 * and after it, what did. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"
#include "step_live.h"

/* ---- Values ---------------------------------------------------------------------------------- */

char *length_text(uint64_t ns, char buf[24])
{
	if (ns >= 1000 * NS_PER_MS) {
		snprintf(buf, 24, "%" PRIu64 ".%03u s", ns / NS_PER_S,
			(unsigned)(ns % NS_PER_S / NS_PER_MS));
	} else if (ns >= NS_PER_MS) {
		snprintf(buf, 24, "%" PRIu64 ".%03u ms", ns / NS_PER_MS,
			(unsigned)(ns % NS_PER_MS / NS_PER_US));
	} else {
		snprintf(
			buf, 24, "%" PRIu64 ".%03u us", ns / NS_PER_US, (unsigned)(ns % NS_PER_US));
	}
	return buf;
}

char *time_text(uint64_t ns, char buf[24])
{
	snprintf(buf, 24, "%" PRIu64 ".%06u s", ns / NS_PER_S,
		(unsigned)(ns % NS_PER_S / NS_PER_US));
	return buf;
}

uint64_t deadline_ns(const struct repl *r, uint64_t clock_ns)
{
	uint64_t epoch = tg_stepper_epoch(r->w);

	return clock_ns > epoch ? clock_ns - epoch : 0;
}

char *tcb_value_text(
	const struct repl *r, const struct tg_tcb *t, unsigned field, char *buf, size_t cap)
{
	static const char *const phases[] = {"open", "recovery", "loss"};
	uint64_t v = t->v[field];
	char text[24];

	switch (tg_tcb_kind_of(field)) {
	case TG_TCB_IS_STATE: snprintf(buf, cap, "%s", tg_state_name((enum tg_state)v)); break;
	case TG_TCB_IS_SEQ_OURS:
		snprintf(buf, cap, "%" PRIu32, (uint32_t)(v - t->v[TG_TCB_ISS]));
		break;
	case TG_TCB_IS_SEQ_PEERS:
		snprintf(buf, cap, "%" PRIu32, (uint32_t)(v - t->v[TG_TCB_IRS]));
		break;
	case TG_TCB_IS_TIME: snprintf(buf, cap, "%s", length_text(v, text)); break;
	case TG_TCB_IS_DEADLINE:
		snprintf(buf, cap, "%s",
			v == UINT64_MAX ? "off" : time_text(deadline_ns(r, v), text));
		break;
	case TG_TCB_IS_FLAG: snprintf(buf, cap, "%s", v ? "yes" : "no"); break;
	case TG_TCB_IS_PHASE: snprintf(buf, cap, "%s", v < 3 ? phases[v] : "?"); break;
	case TG_TCB_IS_BYTES:
	case TG_TCB_IS_NUMBER:
		if (field == TG_TCB_SSTHRESH && v == UINT32_MAX) {
			snprintf(buf, cap, "none");
			break;
		}
		snprintf(buf, cap, "%" PRIu64, v);
		break;
	case TG_TCB_IS_RATE: snprintf(buf, cap, "%" PRIu64 " B/s", v); break;
	}
	return buf;
}

/* ---- Events ---------------------------------------------------------------------------------- */

static const char *const timer_names[] = {"retransmission", "persist", "delayed ACK", "keepalive",
	"state", "user", "loss probe", "reordering"};

static void timers_text(uint32_t timers, char *buf, size_t cap)
{
	size_t used = 0;

	snprintf(buf, cap, "a");
	for (unsigned i = 0; i < sizeof timer_names / sizeof timer_names[0] && used < cap; i++) {
		if (timers & 1u << i) {
			used += (size_t)snprintf(
				buf + used, cap - used, "%s%s", used ? ", " : "", timer_names[i]);
		}
	}
}

static void frame_text(struct repl *r, const struct tg_step_event *e, char *buf, size_t cap)
{
	struct packet p;
	uint32_t isn, peer_isn;

	packet_read(&p, (enum tg_link)e->link, e->frame, e->frame_here, e->frame_bytes);
	packet_isns(r, &p, &isn, &peer_isn);
	packet_text(&p, isn, peer_isn, buf, cap);
}

/* "c1: " of what it concerns, or "". */
static const char *conn_prefix(struct repl *r, const struct tg_step_event *e, char buf[20])
{
	const struct conn_name *n = NULL;
	struct packet p;

	if (e->frame != NULL) {
		packet_read(&p, (enum tg_link)e->link, e->frame, e->frame_here, e->frame_bytes);
		n = name_of_packet(r, e->end, &p);
	}
	if (n == NULL) {
		n = name_of_serial(r, e->end, e->conn);
	}
	buf[0] = '\0';
	if (n != NULL) {
		snprintf(buf, 20, "%s: ", n->name);
	}
	return buf;
}

/* A script's line without its time: the stop has told it. */
static const char *after_time(const char *line)
{
	size_t n = strcspn(line, " ");

	return strchr("+*0123456789", line[0]) != NULL && line[n] == ' ' ? line + n + 1 : line;
}

static void event_words(struct repl *r, const struct tg_step_event *e, char *buf, size_t cap)
{
	const char *who = r->end_name[e->end];
	char text[320], conn[20];

	switch ((enum tg_step_kind)e->kind) {
	case TG_STEP_FRAME:
		frame_text(r, e, text, sizeof text);
		snprintf(buf, cap, "%s%s receives #%" PRIu32 "  %s", conn_prefix(r, e, conn), who,
			e->frame_id, text);
		return;
	case TG_STEP_TIMER:
		timers_text(e->timers, text, sizeof text);
		snprintf(buf, cap, "%s%s's %s timer expires", conn_prefix(r, e, conn), who, text);
		return;
	case TG_STEP_CALL:
		if (r->world == WORLD_LIVE && e->act == 0) {
			snprintf(buf, cap, "%s at %s", e->text, who);
			return;
		}
		snprintf(buf, cap, "%s%s calls %s", conn_prefix(r, e, conn), who,
			r->world == WORLD_SCRIPT ? after_time(e->text) : e->text);
		return;
	case TG_STEP_LINE: snprintf(buf, cap, "line %" PRIu32 ": %s", e->line, e->text); return;
	case TG_STEP_HAND: snprintf(buf, cap, "by hand: %s", e->text); return;
	case TG_STEP_END: snprintf(buf, cap, "%s", e->text[0] ? e->text : "the end"); return;
	case TG_STEP_NOTHING: snprintf(buf, cap, "nothing is on its way and no timer runs"); return;
	}
}

void event_text(struct repl *r, const struct tg_step_event *e, char *buf, size_t cap)
{
	event_words(r, e, buf, cap);
	printable(buf); /* a script's line is a stranger's text */
}

/* ---- Rules ----------------------------------------------------------------------------------- */

/* Puts the number {i}, {is}, {ip} or {it} at *at. */
static void rule_number(const struct tg_rule_hit *h, const char **at)
{
	const char *t = *at + 1;
	unsigned i = (unsigned)(*t - '0');
	uint32_t v = i < TG_RULE_NUMBERS ? h->number[i] : 0;

	t++;
	if (*t == 's') {
		v -= h->iss;
	} else if (*t == 'p') {
		v -= h->irs;
	}
	while (*t != '\0' && *t != '}') {
		t++;
	}
	printf("%" PRIu32, v);
	*at = *t ? t + 1 : t;
}

static void rule_show(const struct tg_rule_hit *h, const char *whose)
{
	const char *t = tg_rule_text(h->rule);

	printf("  rule    %-16s  ", tg_rule_clause(h->rule));
	while (*t != '\0') {
		if (t[0] == '{' && t[1] >= '0' && t[1] <= '9') {
			rule_number(h, &t);
		} else {
			putchar(*t++);
		}
	}
	printf("%s%s\n", whose ? "  at " : "", whose ? whose : "");
}

/* Was this rule with these numbers told already? */
static bool rule_again(const struct tg_step_effects *fx, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++) {
		if (fx->rule[k].end == fx->rule[i].end &&
			memcmp(&fx->rule[k].hit, &fx->rule[i].hit, sizeof fx->rule[k].hit) == 0) {
			return true;
		}
	}
	return false;
}

/* end: at which the event is; of a rule that another end goes by that is said. */
void rules_show(struct repl *r, const struct tg_step_effects *fx, unsigned end)
{
	uint32_t n = fx->n_rules < TG_RULE_HITS ? fx->n_rules : TG_RULE_HITS;

	for (uint32_t i = 0; i < n; i++) {
		if (!rule_again(fx, i)) {
			rule_show(&fx->rule[i].hit,
				fx->rule[i].end != end ? r->end_name[fx->rule[i].end] : NULL);
		}
	}
	n = fx->n_traces < TG_STEP_TRACES ? fx->n_traces : TG_STEP_TRACES;
	for (uint32_t i = 0; i < n; i++) {
		const struct tg_trace *t = &fx->trace[i].t;

		if (t->kind == TG_TRACE_DROP) {
			printf("  rule    %-16s  dropped: %s (%s)\n",
				tg_drop_clause((enum tg_drop)t->reason),
				tg_drop_text((enum tg_drop)t->reason),
				tg_drop_name((enum tg_drop)t->reason));
		}
	}
}

/* ---- Effects --------------------------------------------------------------------------------- */

static const char *conn_label(struct repl *r, unsigned end, const struct tg_tcb *t)
{
	const struct conn_name *n = name_of_tcb(r, end, t);

	return n != NULL ? n->name : "the new connection";
}

static uint64_t state_at(const struct tg_step_effects *fx, uint32_t i, bool after)
{
	if (after) {
		return fx->conn[i].is ? fx->conn[i].after.v[TG_TCB_STATE] : TG_CLOSED;
	}
	return fx->conn[i].was ? fx->conn[i].before.v[TG_TCB_STATE] : TG_CLOSED;
}

static const char *trace_conn(struct repl *r, unsigned end, const struct tg_trace *t)
{
	const struct conn_name *n = name_of_trace(r, end, t);

	if (n != NULL) {
		return n->name;
	}
	return t->b == TG_LISTEN ? "a new listener" : "a new connection";
}

static void moves_show(struct repl *r, const struct tg_step_effects *fx, const char *word)
{
	uint32_t n = fx->n_traces < TG_STEP_TRACES ? fx->n_traces : TG_STEP_TRACES;

	for (uint32_t i = 0; i < n; i++) {
		const struct tg_trace *t = &fx->trace[i].t;

		if (t->kind == TG_TRACE_STATE) {
			printf("  %-7s %s at %s: %s -> %s  (%s, %s)\n", word,
				trace_conn(r, fx->trace[i].end, t), r->end_name[fx->trace[i].end],
				tg_state_name((enum tg_state)t->a),
				tg_state_name((enum tg_state)t->b),
				tg_cause_text((enum tg_cause)t->reason),
				tg_cause_clause((enum tg_cause)t->reason));
		}
	}
}

static void sent_show(struct repl *r, const struct tg_step_effects *fx, const char *word)
{
	uint32_t n = fx->n_frames < TG_STEP_FRAMES ? fx->n_frames : TG_STEP_FRAMES;

	for (uint32_t i = 0; i < n; i++) {
		struct tg_step_event e = {.end = fx->frame[i].end,
			.link = (uint8_t)r->link,
			.frame = fx->frame[i].head,
			.frame_bytes = fx->frame[i].bytes};
		char text[320];

		e.frame_here = e.frame_bytes < TG_STEP_HEAD ? e.frame_bytes : TG_STEP_HEAD;
		frame_text(r, &e, text, sizeof text);
		if (fx->frame[i].id != 0) {
			printf("  %-7s %s sends #%" PRIu32 "  %s\n", word, r->end_name[e.end],
				fx->frame[i].id, text);
		} else {
			printf("  %-7s %s sends  %s\n", word, r->end_name[e.end], text);
		}
	}
	if (fx->n_frames > n) {
		printf("  %-7s ... and %" PRIu32 " frames more\n", word, fx->n_frames - n);
	}
}

static void timer_show(const struct repl *r, const struct tg_step_effects *fx, uint32_t i,
	unsigned field, const char *label, const char *word)
{
	uint64_t was = fx->conn[i].was ? fx->conn[i].before.v[field] : UINT64_MAX;
	uint64_t is = fx->conn[i].is ? fx->conn[i].after.v[field] : UINT64_MAX;
	char text[24];

	if (was == is) {
		return;
	}
	if (is == UINT64_MAX) {
		printf("  %-7s %s: %s stops\n", word, label, tg_tcb_name(field));
	} else {
		printf("  %-7s %s: %s %s, for %s\n", word, label, tg_tcb_name(field),
			was == UINT64_MAX ? "starts" : "is set again",
			time_text(deadline_ns(r, is), text));
	}
}

static void timers_show(struct repl *r, const struct tg_step_effects *fx, const char *word)
{
	uint32_t n = fx->n_conns < TG_STEP_CONNS ? fx->n_conns : TG_STEP_CONNS;

	for (uint32_t i = 0; i < n; i++) {
		const struct tg_tcb *t = fx->conn[i].is ? &fx->conn[i].after : &fx->conn[i].before;
		const char *label = conn_label(r, fx->conn[i].end, t);

		for (unsigned f = 0; f < TG_TCB_COUNT; f++) {
			if (tg_tcb_kind_of(f) == TG_TCB_IS_DEADLINE) {
				timer_show(r, fx, i, f, label, word);
			}
		}
	}
}

static void told_show(struct repl *r, const struct tg_step_effects *fx, const char *word)
{
	static const struct {
		unsigned bit;
		const char *text;
	} bits[] = {{TG_IN, "can read or accept"}, {TG_PRI, "urgent data"}, {TG_OUT, "can send"},
		{TG_ERR, "error"}, {TG_HUP, "hung up"}, {TG_RDHUP, "the peer has closed"}};
	uint32_t n = fx->n_events < TG_STEP_EVENTS ? fx->n_events : TG_STEP_EVENTS;

	for (uint32_t i = 0; i < n; i++) {
		bool some = false;

		printf("  %-7s the application at %s is told:", word,
			r->end_name[fx->event[i].end]);
		for (unsigned k = 0; k < sizeof bits / sizeof bits[0]; k++) {
			if (fx->event[i].events & bits[k].bit) {
				printf("%s %s", some ? "," : "", bits[k].text);
				some = true;
			}
		}
		putchar('\n');
	}
}

/* ---- Changes, field by field ----------------------------------------------------------------- */

/* What moves and timers are told of apart, what only counts, and what matters to experts alone:
 * `print tcb` has all. */
static bool field_is_told(const struct tg_tcb *t, unsigned f)
{
	static const uint8_t quiet[] = {TG_TCB_STATE, TG_TCB_SEGS_IN, TG_TCB_SEGS_OUT,
		TG_TCB_BYTES_ACKED, TG_TCB_BYTES_RECEIVED, TG_TCB_SND_MAX, TG_TCB_SND_MAX_WND,
		TG_TCB_SND_WL1, TG_TCB_SND_WL2, TG_TCB_MSS_RCV, TG_TCB_MSS_PEER, TG_TCB_PMTU,
		TG_TCB_RCVBUF, TG_TCB_SNDBUF, TG_TCB_RTTVAR, TG_TCB_MIN_RTT, TG_TCB_RACK_RTT,
		TG_TCB_RACK_END, TG_TCB_RACK_FACK, TG_TCB_RACK_MULT, TG_TCB_TLP_END, TG_TCB_PASSIVE,
		TG_TCB_LAST_ACK};
	/* ... outside of recovery */
	static const uint8_t recovery[] = {
		TG_TCB_RECOVER, TG_TCB_HIGH_SACKED, TG_TCB_PRR_OUT, TG_TCB_PRR_DELIVERED};

	for (size_t i = 0; i < sizeof quiet; i++) {
		if (f == quiet[i]) {
			return false;
		}
	}
	for (size_t i = 0; i < sizeof recovery; i++) {
		if (f == recovery[i] && t->v[TG_TCB_PHASE] == 0) {
			return false;
		}
	}
	if (f == TG_TCB_SND_UP) {
		return t->v[f] != t->v[TG_TCB_SND_UNA];
	}
	if (f == TG_TCB_RCV_UP) {
		return t->v[f] != t->v[TG_TCB_RCV_NXT];
	}
	return tg_tcb_kind_of(f) != TG_TCB_IS_DEADLINE;
}

static void fields_show(struct repl *r, const struct tg_step_effects *fx, uint32_t i)
{
	const struct tg_tcb *was = &fx->conn[i].before, *is = &fx->conn[i].after;
	int column = 0;

	for (unsigned f = 0; f < TG_TCB_COUNT && fx->conn[i].is; f++) {
		char a[48], b[48], text[128];

		if (was->v[f] == is->v[f] || !field_is_told(is, f)) {
			continue;
		}
		tcb_value_text(r, was, f, a, sizeof a);
		tcb_value_text(r, is, f, b, sizeof b);
		if (strcmp(a, b) == 0) {
			continue;
		}
		/* what was relative to no number yet tells nothing */
		if (!fx->conn[i].was || (was->v[TG_TCB_ISS] == 0 && is->v[TG_TCB_ISS] != 0) ||
			(tg_tcb_kind_of(f) == TG_TCB_IS_SEQ_PEERS && was->v[TG_TCB_IRS] == 0)) {
			snprintf(text, sizeof text, "%s = %s", tg_tcb_name(f), b);
		} else {
			snprintf(text, sizeof text, "%s %s -> %s", tg_tcb_name(f), a, b);
		}
		if (column == 0 || column + (int)strlen(text) > 84) {
			printf("%s  %-7s %s: %s", column ? "\n" : "", "changed",
				conn_label(r, fx->conn[i].end, is), text);
			column = 10;
		} else {
			printf(", %s", text);
		}
		column += (int)strlen(text) + 2;
	}
	if (column) {
		putchar('\n');
	}
}

void did_show(struct repl *r)
{
	const struct tg_step_effects *fx = &r->did;
	uint32_t n = fx->n_conns < TG_STEP_CONNS ? fx->n_conns : TG_STEP_CONNS;
	char text[400], at[24];

	names_update(r);
	event_text(r, &r->last, text, sizeof text);
	printf("event %" PRIu64 ", %s: %s\n", r->last.number, time_text(r->last.time_ns, at), text);
	moves_show(r, fx, "moved");
	sent_show(r, fx, "sent");
	for (uint32_t i = 0; i < n; i++) {
		if (name_of_tcb(r, fx->conn[i].end, &fx->conn[i].after) != NULL &&
			state_at(fx, i, true) != TG_LISTEN) {
			fields_show(r, fx, i);
		}
		if (fx->conn[i].was && !fx->conn[i].is && state_at(fx, i, false) != TG_CLOSED) {
			printf("  %-7s %s is gone\n", "changed",
				conn_label(r, fx->conn[i].end, &fx->conn[i].before));
		}
	}
	timers_show(r, fx, "timer");
	told_show(r, fx, "told");
}

/* ---- The stop -------------------------------------------------------------------------------- */

void stop_read(struct repl *r, bool predict)
{
	if (r->world == WORLD_LIVE) {
		live_look(r);
	}
	names_update(r);
	r->predicted = predict && tg_stepper_predict(r->w, &r->will);
	if (r->world == WORLD_LIVE) {
		live_next(r);
	} else {
		tg_stepper_next(r->w, &r->next);
	}
	if (r->world == WORLD_JOURNAL && r->next.kind == TG_STEP_FRAME) {
		r->link = (enum tg_link)r->next.link;
	}
	r->shown = false;
}

static void note_show(struct repl *r)
{
	const char *at = r->next.note, *end = at + r->next.note_bytes;
	char text[400];

	if (at == NULL || r->note_line == r->next.line + 1u) {
		return;
	}
	r->note_line = r->next.line + 1u;
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		stop = stop != NULL ? stop : end;
		snprintf(text, sizeof text, "%.*s", (int)(stop - at), at);
		printable(text);
		printf("  | %s\n", text);
		at = stop + 1;
	}
}

void stop_show(struct repl *r, const char *why)
{
	char text[400], at[24];
	const struct conn_name *n = name_of_serial(r, r->next.end, r->next.conn);

	if (n != NULL && !n->listener) {
		snprintf(r->current, sizeof r->current, "%s", n->name);
	}
	if (why != NULL) {
		printf("%s\n", why);
	}
	if (r->world == WORLD_LIVE) {
		live_meanwhile(r);
	}
	note_show(r);
	event_text(r, &r->next, text, sizeof text);
	if (r->next.kind == TG_STEP_NOTHING || r->next.kind == TG_STEP_END) {
		printf("after event %" PRIu64 " at %s: %s\n", tg_stepper_position(r->w),
			time_text(tg_stepper_now(r->w), at), text);
		prompt_hint(r);
	} else {
		printf("stopped before event %" PRIu64 " at %s: %s\n", r->next.number,
			time_text(r->next.time_ns, at), text);
	}
	if (r->predicted) {
		rules_show(r, &r->will, r->next.end);
		moves_show(r, &r->will, "will");
		sent_show(r, &r->will, "will");
		timers_show(r, &r->will, "will");
		told_show(r, &r->will, "will");
	}
	r->shown = true;
}

/* The connection to speak of in a hint: established, and an application has it. */
static const char *hint_conn(struct repl *r)
{
	struct tg_tcb t;

	for (unsigned i = 0; i < r->n_names; i++) {
		if (!r->name[i].listener && tcb_of_name(r, &r->name[i], &t) && t.sock != 0 &&
			t.v[TG_TCB_STATE] == TG_ESTABLISHED) {
			return r->name[i].name;
		}
	}
	return NULL;
}

/* Does a listener have somebody waiting? */
static bool hint_accept(struct repl *r)
{
	for (unsigned i = 0; i < r->n_names; i++) {
		const struct tg *s = tg_stepper_instance(r->w, r->name[i].end);

		if (r->name[i].listener && s != NULL && tg_sock_ready(s, r->name[i].sock) & TG_IN) {
			return true;
		}
	}
	return false;
}

/* When nothing goes on by itself: what the user could do. */
void prompt_hint(struct repl *r)
{
	const char *conn;

	if (r->world == WORLD_LIVE) {
		puts("  (the host has sent nothing: \"step\" waits for it)");
		return;
	}
	if (r->world != WORLD_LAB) {
		puts("  (\"back\", \"goto 0\" or \"quit\")");
		return;
	}
	conn = hint_conn(r);
	if (conn != NULL) {
		printf("  (%s\"send %s hello\", \"close %s\", \"print tcb\", \"show states\"; "
		       "\"help\" lists more)\n",
			hint_accept(r) ? "\"accept\", " : "", conn, conn);
		return;
	}
	puts("  (\"connect\" opens a connection to the server; \"help\" lists what else there is)");
}

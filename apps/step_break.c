/* Breakpoints and watches: what makes `continue` and its like stop. All but watches stop before the
 * event, which they know from its prediction. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "step.h"

enum break_kind {
	BREAK_STATE,
	BREAK_SEGMENT,
	BREAK_RETRANSMIT,
	BREAK_DROP,
	BREAK_TIMER,
	BREAK_CONNECTION,
	BREAK_CONN,
	BREAK_CALL,
	BREAK_EVENT,
	BREAK_IF,
	BREAK_WATCH
};

#define CONDITION_BYTES 160u

struct breakpoint {
	struct breakpoint *next;
	unsigned number;
	enum break_kind kind;
	bool off, once;
	uint64_t hits;
	int which;     /* a state, a reason, a timer; -1: any */
	uint8_t flags; /* of a segment */
	bool any_flags;
	uint64_t event;
	char conn[12];                   /* "": any */
	char text[CONDITION_BYTES];      /* as it was asked for */
	char condition[CONDITION_BYTES]; /* "": always */
	bool has_value;
	int64_t value; /* of a watch */
};

/* ---- Making ---------------------------------------------------------------------------------- */

static const char *const timer_words[] = {
	"rexmit", "persist", "delack", "keepalive", "state", "user", "pto", "reo"};

static bool parse_state(struct repl *r, const char *word, struct breakpoint *b)
{
	for (unsigned i = 0; word != NULL && i < TG_STATE_COUNT; i++) {
		if (strcasecmp(word, tg_state_name((enum tg_state)i)) == 0) {
			b->which = (int)i;
			return true;
		}
	}
	refuse(r, "which state? SYN-SENT, SYN-RECEIVED, ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, "
		  "CLOSE-WAIT, CLOSING, LAST-ACK, TIME-WAIT, CLOSED");
	return false;
}

static bool parse_drop(struct repl *r, const char *word, struct breakpoint *b)
{
	for (unsigned i = 1; word != NULL && i < TG_DROP_COUNT; i++) {
		const char *name = tg_drop_name((enum tg_drop)i);

		if (strcmp(word, name) == 0 ||
			(strncmp(name, "tcp_", 4) == 0 && strcmp(word, name + 4) == 0)) {
			b->which = (int)i;
			return true;
		}
	}
	if (word != NULL) {
		refuse(r, "there is no drop reason \"%s\": such as tcp_paws, tcp_old, tcp_csum",
			word);
	}
	return word == NULL;
}

static bool parse_timer(struct repl *r, const char *word, struct breakpoint *b)
{
	for (unsigned i = 0; word != NULL && i < 8; i++) {
		if (strcmp(word, timer_words[i]) == 0) {
			b->which = (int)i;
			return true;
		}
	}
	if (word != NULL) {
		refuse(r,
			"there is no timer \"%s\": rexmit, persist, delack, keepalive, state, "
			"user, pto, "
			"reo",
			word);
	}
	return word == NULL;
}

static bool parse_segment(struct repl *r, const char *word, struct breakpoint *b)
{
	b->any_flags = word == NULL || strcmp(word, "*") == 0;
	if (b->any_flags || packet_flags_parse(word, &b->flags)) {
		return true;
	}
	refuse(r, "\"%s\" are no flags: letters of FSRP.UEW as in packet scripts, or *", word);
	return false;
}

static bool parse_kind(struct repl *r, struct breakpoint *b, const char *word, char **args)
{
	if (word_abbreviates(word, "state", 2)) {
		b->kind = BREAK_STATE;
		return parse_state(r, word_next(args), b);
	}
	if (word_abbreviates(word, "segment", 2)) {
		b->kind = BREAK_SEGMENT;
		return parse_segment(r, word_next(args), b);
	}
	if (word_abbreviates(word, "drop", 2)) {
		b->kind = BREAK_DROP;
		return parse_drop(r, word_next(args), b);
	}
	if (word_abbreviates(word, "timer", 2)) {
		b->kind = BREAK_TIMER;
		return parse_timer(r, word_next(args), b);
	}
	if (word_abbreviates(word, "retransmission", 3) || strcmp(word, "retransmit") == 0) {
		b->kind = BREAK_RETRANSMIT;
		return true;
	}
	if (word_abbreviates(word, "connection", 5)) {
		b->kind = BREAK_CONNECTION;
		return true;
	}
	if (strcmp(word, "call") == 0) {
		b->kind = BREAK_CALL;
		return true;
	}
	if (strcmp(word, "event") == 0) {
		const char *n = word_next(args);

		b->kind = BREAK_EVENT;
		if (n != NULL && parse_u64(n, 1, UINT64_MAX / 2, &b->event)) {
			return true;
		}
		refuse(r, "before which event? a number: break event 17");
		return false;
	}
	if (strcmp(word, "conn") == 0 || name_find(r, word) != NULL) {
		const struct conn_name *n =
			name_wanted(r, strcmp(word, "conn") == 0 ? word_next(args) : word);

		b->kind = BREAK_CONN;
		if (n != NULL) {
			snprintf(b->conn, sizeof b->conn, "%s", n->name);
		}
		return n != NULL;
	}
	refuse(r,
		"break at \"%s\"? what there is: state S, segment FLAGS, retransmit, drop "
		"[REASON], "
		"timer [NAME], connection, conn C, call, event N, if EXPR",
		word);
	return false;
}

/* Takes "if EXPR" off the end of args. */
static char *split_condition(char *args)
{
	char *at = args;

	while ((at = strstr(at, "if")) != NULL) {
		bool begins = at == args || at[-1] == ' ';

		if (begins && (at[2] == ' ' || at[2] == '(')) {
			*at = '\0';
			return at + 2;
		}
		at += 2;
	}
	return NULL;
}

static bool condition_good(struct repl *r, const char *text)
{
	struct expr_result v;
	const char *error;

	if (strlen(text) >= CONDITION_BYTES) {
		refuse(r, "an expression to stop at may have %u letters", CONDITION_BYTES - 1);
		return false;
	}
	if (!expr_eval(r, text, &v, &error)) {
		refuse(r, "%s", error);
		return false;
	}
	return true;
}

static void insert(struct repl *r, const struct breakpoint *b)
{
	struct breakpoint **at = &r->breaks, *new = malloc(sizeof *new);

	if (new == NULL) {
		refuse(r, "out of memory");
		return;
	}
	*new = *b;
	new->number = ++r->next_break;
	new->next = NULL;
	while (*at != NULL) {
		at = &(*at)->next;
	}
	*at = new;
	printf("%s %u: %s\n", b->kind == BREAK_WATCH ? "watch" : "breakpoint", new->number,
		new->text);
}

void break_add(struct repl *r, char *args, bool once)
{
	struct breakpoint b = {.which = -1, .once = once, .kind = BREAK_IF};
	char *condition, *word, *more;

	names_update(r);
	args += strspn(args, " ");
	if (strlen(args) >= sizeof b.text) {
		refuse(r, "what to stop at may have %zu letters", sizeof b.text - 1);
		return;
	}
	snprintf(b.text, sizeof b.text, "%s", args);
	condition = split_condition(args);
	word = word_next(&args);
	if (word == NULL && condition == NULL) {
		refuse(r, "break at what? state S, segment FLAGS, retransmit, drop [REASON], timer "
			  "[NAME], connection, conn C, call, event N, if EXPR");
		return;
	}
	if (word != NULL && !parse_kind(r, &b, word, &args)) {
		return;
	}
	more = word != NULL ? word_next(&args) : NULL;
	if (more != NULL) {
		refuse(r, "what is \"%s\" to mean there? conditions begin with \"if\"", more);
		return;
	}
	if (condition != NULL) {
		condition += strspn(condition, " ");
		if (!condition_good(r, condition)) {
			return;
		}
		snprintf(b.condition, sizeof b.condition, "%s", condition);
	}
	insert(r, &b);
}

/* A watch's value as it is. */
static void value_take(struct repl *r, struct breakpoint *b)
{
	struct expr_result v;
	const char *error;

	if (expr_eval(r, b->text, &v, &error)) {
		b->has_value = v.known;
		b->value = v.value;
	}
}

void break_moved(struct repl *r)
{
	for (struct breakpoint *b = r->breaks; b != NULL; b = b->next) {
		if (b->kind == BREAK_WATCH) {
			value_take(r, b);
		}
	}
}

void break_watch(struct repl *r, char *args)
{
	struct breakpoint b = {.which = -1, .kind = BREAK_WATCH};

	names_update(r);
	args += strspn(args, " ");
	if (*args == '\0') {
		refuse(r, "watch what? an expression: watch c1.cwnd");
		return;
	}
	if (!condition_good(r, args)) {
		return;
	}
	snprintf(b.text, sizeof b.text, "%s", args);
	value_take(r, &b);
	insert(r, &b);
}

/* ---- Listing and switching ------------------------------------------------------------------- */

void break_list(struct repl *r)
{
	if (r->breaks == NULL) {
		puts("  no breakpoints");
	}
	for (const struct breakpoint *b = r->breaks; b != NULL; b = b->next) {
		printf("  %-3u %-5s %-8s %s", b->number,
			b->kind == BREAK_WATCH ? "watch"
			: b->once              ? "once"
					       : "break",
			b->off ? "off" : "on", b->text);
		if (b->condition[0] != '\0' && strstr(b->text, b->condition) == NULL) {
			printf(" if %s", b->condition);
		}
		printf("%s%" PRIu64 " hit%s\n", "   ", b->hits, b->hits == 1 ? "" : "s");
	}
}

static struct breakpoint **find(struct repl *r, const char *word)
{
	uint64_t n = 0;

	if (parse_u64(word, 1, UINT32_MAX, &n)) {
		for (struct breakpoint **b = &r->breaks; *b != NULL; b = &(*b)->next) {
			if ((*b)->number == n) {
				return b;
			}
		}
	}
	refuse(r, "there is no breakpoint %s: \"info breakpoints\" lists them", word);
	return NULL;
}

static void remove_one(struct breakpoint **at)
{
	struct breakpoint *b = *at;

	*at = b->next;
	free(b);
}

void break_free(struct repl *r)
{
	while (r->breaks != NULL) {
		remove_one(&r->breaks);
	}
}

void break_delete(struct repl *r, char *args)
{
	char *word = word_next(&args);

	if (word == NULL) {
		break_free(r);
	}
	for (; word != NULL; word = word_next(&args)) {
		struct breakpoint **b = find(r, word);

		if (b != NULL) {
			remove_one(b);
		}
	}
}

void break_enable(struct repl *r, char *args, bool on)
{
	char *word = word_next(&args);

	for (struct breakpoint *b = r->breaks; word == NULL && b != NULL; b = b->next) {
		b->off = !on;
	}
	for (; word != NULL; word = word_next(&args)) {
		struct breakpoint **b = find(r, word);

		if (b != NULL) {
			(*b)->off = !on;
		}
	}
}

void break_condition(struct repl *r, char *args)
{
	char *word = word_next(&args);
	struct breakpoint **b;

	if (word == NULL) {
		refuse(r, "of which breakpoint? condition N EXPR");
		return;
	}
	b = find(r, word);
	args += strspn(args, " ");
	if (b != NULL && (*args == '\0' || condition_good(r, args))) {
		snprintf((*b)->condition, sizeof(*b)->condition, "%s", args);
	}
}

bool break_any(const struct repl *r)
{
	for (const struct breakpoint *b = r->breaks; b != NULL; b = b->next) {
		if (!b->off) {
			return true;
		}
	}
	return false;
}

/* ---- Deciding -------------------------------------------------------------------------------- */

static const struct tg_trace *trace_at(const struct repl *r, uint32_t i)
{
	uint32_t n = r->will.n_traces < TG_STEP_TRACES ? r->will.n_traces : TG_STEP_TRACES;

	return r->predicted && i < n ? &r->will.trace[i].t : NULL;
}

static bool trace_matches(const struct breakpoint *b, const struct tg_trace *t)
{
	switch (b->kind) {
	case BREAK_STATE: return t->kind == TG_TRACE_STATE && t->b == b->which;
	case BREAK_RETRANSMIT: return t->kind == TG_TRACE_SEGMENT_OUT && t->a == 1;
	case BREAK_DROP: return t->kind == TG_TRACE_DROP && (b->which < 0 || t->reason == b->which);
	case BREAK_TIMER: return t->kind == TG_TRACE_TIMER && (b->which < 0 || t->a == b->which);
	case BREAK_CONNECTION:
		return t->kind == TG_TRACE_STATE && (t->a == TG_CLOSED || t->a == TG_LISTEN) &&
		       t->b != TG_LISTEN && t->b != TG_CLOSED;
	case BREAK_SEGMENT:
	case BREAK_CONN:
	case BREAK_CALL:
	case BREAK_EVENT:
	case BREAK_IF:
	case BREAK_WATCH: break;
	}
	return false;
}

static bool segment_matches(const struct repl *r, const struct breakpoint *b)
{
	struct packet p;

	if (r->next.kind != TG_STEP_FRAME || r->next.frame == NULL) {
		return false;
	}
	packet_read(&p, (enum tg_link)r->next.link, r->next.frame, r->next.frame_here,
		r->next.frame_bytes);
	return p.tcp && (b->any_flags || p.flags == b->flags);
}

static bool conn_matches(struct repl *r, const struct breakpoint *b)
{
	const struct conn_name *n = name_of_serial(r, r->next.end, r->next.conn);
	struct packet p;

	if (n == NULL && r->next.kind == TG_STEP_FRAME && r->next.frame != NULL) {
		packet_read(&p, (enum tg_link)r->next.link, r->next.frame, r->next.frame_here,
			r->next.frame_bytes);
		n = name_of_packet(r, r->next.end, &p);
	}
	return n != NULL && strcmp(n->name, b->conn) == 0;
}

static bool matches(struct repl *r, const struct breakpoint *b)
{
	const struct tg_trace *t;

	switch (b->kind) {
	case BREAK_SEGMENT: return segment_matches(r, b);
	case BREAK_CONN: return conn_matches(r, b);
	case BREAK_CALL: return r->next.kind == TG_STEP_CALL;
	case BREAK_EVENT: return r->next.number == b->event;
	case BREAK_IF: return true;
	case BREAK_WATCH: return false;
	case BREAK_TIMER:
		if (r->next.kind == TG_STEP_TIMER &&
			(b->which < 0 || r->next.timers & 1u << b->which)) {
			return true;
		}
		break;
	case BREAK_STATE:
	case BREAK_RETRANSMIT:
	case BREAK_DROP:
	case BREAK_CONNECTION: break;
	}
	for (uint32_t i = 0; (t = trace_at(r, i)) != NULL; i++) {
		if (trace_matches(b, t)) {
			return true;
		}
	}
	return false;
}

static bool holds(struct repl *r, const struct breakpoint *b)
{
	struct expr_result v;
	const char *error;

	return b->condition[0] == '\0' ||
	       (expr_eval(r, b->condition, &v, &error) && v.known && v.value != 0);
}

bool break_before(struct repl *r, bool really, char *buf, size_t cap)
{
	if (r->next.kind == TG_STEP_NOTHING || r->next.kind == TG_STEP_END) {
		return false;
	}
	for (struct breakpoint **at = &r->breaks; *at != NULL; at = &(*at)->next) {
		struct breakpoint *b = *at;

		if (b->off || !matches(r, b) || !holds(r, b)) {
			continue;
		}
		b->hits += really;
		snprintf(buf, cap, "breakpoint %u: %s", b->number, b->text);
		if (b->once && really) {
			remove_one(at);
		}
		return true;
	}
	return false;
}

/* A watch's value: of states the name, of times the unit. */
static void value_text(const struct expr_result *v, int64_t value, char buf[24])
{
	if (v->state >= 0 && value >= 0 && value < TG_STATE_COUNT) {
		snprintf(buf, 24, "%s", tg_state_name((enum tg_state)value));
	} else if (v->field != NULL && tg_tcb_kind_of(v->tcb_field) == TG_TCB_IS_TIME) {
		length_text((uint64_t)value, buf);
	} else {
		snprintf(buf, 24, "%" PRId64, value);
	}
}

/* Has it changed? Its words in buf then. */
static bool watch_changed(
	const struct breakpoint *b, const struct expr_result *v, char *buf, size_t cap)
{
	char was[24], is[24];

	if (v->known == b->has_value && (!v->known || v->value == b->value)) {
		return false;
	}
	value_text(v, b->value, was);
	value_text(v, v->value, is);
	if (!v->known) {
		snprintf(buf, cap, "watch %u: %s is gone", b->number, b->text);
	} else if (!b->has_value) {
		snprintf(buf, cap, "watch %u: %s is %s now", b->number, b->text, is);
	} else {
		snprintf(buf, cap, "watch %u: %s %s -> %s", b->number, b->text, was, is);
	}
	return true;
}

bool break_after(struct repl *r, bool really, char *buf, size_t cap)
{
	bool stops = false;

	for (struct breakpoint *b = r->breaks; b != NULL; b = b->next) {
		struct expr_result v;
		const char *error;
		char text[256];

		if (b->kind != BREAK_WATCH || !expr_eval(r, b->text, &v, &error)) {
			continue;
		}
		if (watch_changed(b, &v, text, sizeof text) && !b->off && holds(r, b)) {
			b->hits += really;
			snprintf(buf, stops ? 0 : cap, "%s", text);
			stops = true;
		}
		b->has_value = v.known;
		b->value = v.value;
	}
	return stops;
}

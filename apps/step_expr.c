/* Expressions over the variables of connections: c1.cwnd > 2*c1.mss.snd && state == ESTABLISHED.
 * Precedence as in C; numbers may have a unit of time (10ms) or size (64k). Besides: now, event,
 * end, reason (why the next event's frame will be dropped), seg.seq, seg.ack, seg.len, seg.wnd of
 * the segment that comes next, and the names of states and drop reasons. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.h"

#define DEPTH_MAX 64

struct expr {
	struct repl *r;
	const char *at;
	const char *error;
	bool known;
	unsigned depth;
	struct expr_result *out;
	char message[160];
};

static char last_message[160];

static int64_t parse_or(struct expr *x);

static int64_t fail(struct expr *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int64_t fail(struct expr *x, const char *format, ...)
{
	va_list ap;

	if (x->error == NULL) {
		va_start(ap, format);
		vsnprintf(x->message, sizeof x->message, format, ap);
		va_end(ap);
		x->error = x->message;
	}
	return 0;
}

static void blanks(struct expr *x)
{
	x->at += strspn(x->at, " \t");
}

static bool take(struct expr *x, const char *sign)
{
	blanks(x);
	if (strncmp(x->at, sign, strlen(sign)) != 0) {
		return false;
	}
	x->at += strlen(sign);
	x->out->field = NULL;
	return true;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static bool field_find(const char *name, unsigned *out)
{
	for (unsigned i = 0; i < TG_TCB_COUNT; i++) {
		if (strcmp(tg_tcb_name(i), name) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static int64_t field_value(struct expr *x, const struct conn_name *n, unsigned field)
{
	struct tg_tcb *t = &x->out->tcb;

	if (!tcb_of_name(x->r, n, t)) {
		x->known = false;
		return 0;
	}
	x->out->field = tg_tcb_name(field);
	x->out->tcb_field = field;
	switch (tg_tcb_kind_of(field)) {
	case TG_TCB_IS_SEQ_OURS: return (uint32_t)(t->v[field] - t->v[TG_TCB_ISS]);
	case TG_TCB_IS_SEQ_PEERS: return (uint32_t)(t->v[field] - t->v[TG_TCB_IRS]);
	case TG_TCB_IS_DEADLINE:
		return t->v[field] == UINT64_MAX ? -1 : (int64_t)deadline_ns(x->r, t->v[field]);
	case TG_TCB_IS_STATE:
	case TG_TCB_IS_NUMBER:
	case TG_TCB_IS_BYTES:
	case TG_TCB_IS_TIME:
	case TG_TCB_IS_FLAG:
	case TG_TCB_IS_RATE:
	case TG_TCB_IS_PHASE: break;
	}
	return (int64_t)t->v[field];
}

static int64_t segment_value(struct expr *x, const char *word)
{
	const struct tg_step_event *e = &x->r->next;
	uint32_t isn, peer_isn;
	struct packet p;

	if (e->kind != TG_STEP_FRAME || e->frame == NULL) {
		x->known = false;
		return 0;
	}
	packet_read(&p, (enum tg_link)e->link, e->frame, e->frame_here, e->frame_bytes);
	packet_isns(x->r, &p, &isn, &peer_isn);
	if (strcmp(word, "seg.seq") == 0) {
		return (uint32_t)(p.seq - isn);
	}
	if (strcmp(word, "seg.ack") == 0) {
		return (uint32_t)(p.ack - peer_isn);
	}
	if (strcmp(word, "seg.len") == 0) {
		return p.text_bytes;
	}
	if (strcmp(word, "seg.wnd") == 0) {
		return p.wnd;
	}
	return fail(x, "a segment has no \"%s\": seg.seq, seg.ack, seg.len, seg.wnd", word);
}

/* The reason for which the next event drops something; 0: for none. */
static int64_t reason_value(const struct repl *r)
{
	uint32_t n = r->will.n_traces < TG_STEP_TRACES ? r->will.n_traces : TG_STEP_TRACES;

	for (uint32_t i = 0; r->predicted && i < n; i++) {
		if (r->will.trace[i].t.kind == TG_TRACE_DROP) {
			return r->will.trace[i].t.reason;
		}
	}
	return 0;
}

/* Names of states, of drop reasons ("tcp_paws", "paws"), yes and no. */
static bool constant(const char *word, int64_t *v)
{
	for (unsigned i = 0; i < TG_STATE_COUNT; i++) {
		if (strcmp(word, tg_state_name((enum tg_state)i)) == 0) {
			*v = i;
			return true;
		}
	}
	for (unsigned i = 0; i < TG_DROP_COUNT; i++) {
		const char *name = tg_drop_name((enum tg_drop)i);

		if (strcmp(word, name) == 0 ||
			(strncmp(name, "tcp_", 4) == 0 && strcmp(word, name + 4) == 0)) {
			*v = i;
			return true;
		}
	}
	*v = strcmp(word, "yes") == 0;
	return *v || strcmp(word, "no") == 0;
}

static int64_t word_value(struct expr *x, const char *word)
{
	const char *dot = strchr(word, '.');
	const struct conn_name *n;
	char name[12] = "";
	unsigned field;
	int64_t v;

	if (dot != NULL && (size_t)(dot - word) < sizeof name) {
		memcpy(name, word, (size_t)(dot - word));
		n = name_find(x->r, name);
		if (n != NULL && field_find(dot + 1, &field)) {
			return field_value(x, n, field);
		}
		if (n != NULL) {
			return fail(
				x, "there is no variable \"%s\": \"print tcb\" shows all", dot + 1);
		}
	}
	if (strncmp(word, "seg.", 4) == 0) {
		return segment_value(x, word);
	}
	if (field_find(word, &field)) {
		n = name_find(x->r, x->r->current);
		x->known = x->known && n != NULL;
		return n != NULL ? field_value(x, n, field) : 0;
	}
	if (strcmp(word, "now") == 0) {
		return (int64_t)tg_stepper_now(x->r->w);
	}
	if (strcmp(word, "event") == 0) {
		return (int64_t)tg_stepper_position(x->r->w);
	}
	if (strcmp(word, "end") == 0) {
		return x->r->next.end;
	}
	if (strcmp(word, "reason") == 0) {
		return reason_value(x->r);
	}
	if (constant(word, &v)) {
		return v;
	}
	if (name[0] == 'c' && isdigit((unsigned char)name[1])) {
		return fail(
			x, "there is no connection for \"%s\": \"info conns\" lists them", word);
	}
	return fail(x,
		"\"%s\" means nothing here: c1.cwnd, snd.una, now, event, reason, seg.len, a "
		"state, a "
		"drop reason, a number",
		word);
}

/* State names have dashes: SYN-SENT is one word, cwnd-1 is not. */
static size_t word_length(const char *at)
{
	size_t n = 0;

	for (unsigned i = 0; i < TG_STATE_COUNT; i++) {
		const char *name = tg_state_name((enum tg_state)i);
		size_t len = strlen(name);

		if (strncmp(at, name, len) == 0 && !isalnum((unsigned char)at[len]) && len > n) {
			n = len;
		}
	}
	if (n > 0) {
		return n;
	}
	while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == '.') {
		n++;
	}
	return n;
}

static int64_t parse_number(struct expr *x)
{
	static const struct {
		const char *unit;
		int64_t times;
	} units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"k", 1024},
		{"M", 1048576}};
	char *end;
	double v = strtod(x->at, &end);
	size_t n = 0;

	while (isalpha((unsigned char)end[n])) {
		n++;
	}
	x->at = end + n;
	if (v > 9e18) {
		return fail(x, "%s", "the number is too large");
	}
	if (n == 0) {
		return (int64_t)v;
	}
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strlen(units[i].unit) == n && strncmp(end, units[i].unit, n) == 0 &&
			v * (double)units[i].times < 9e18) {
			return (int64_t)(v * (double)units[i].times);
		}
	}
	return fail(x, "%s", "units are ns, us, ms, s, k, M");
}

static int64_t parse_primary(struct expr *x)
{
	char word[64];
	int64_t v;
	size_t n;

	blanks(x);
	if (take(x, "(")) {
		v = parse_or(x);
		return take(x, ")") ? v : fail(x, "%s", "a \")\" is missing");
	}
	if (isdigit((unsigned char)*x->at)) {
		x->out->field = NULL;
		return parse_number(x);
	}
	n = word_length(x->at);
	if (n == 0 || n >= sizeof word) {
		return n ? fail(x, "\"%s\" is no name", x->at)
			 : fail(x, "something is missing at \"%s\"", x->at);
	}
	memcpy(word, x->at, n);
	word[n] = '\0';
	x->at += n;
	return word_value(x, word);
}

/* ---- Operators ------------------------------------------------------------------------------- */

static int64_t parse_unary(struct expr *x)
{
	int64_t v;

	if (++x->depth > DEPTH_MAX) {
		return fail(x, "%s", "too many brackets");
	}
	blanks(x);
	if (x->at[0] == '!' && x->at[1] != '=') {
		take(x, "!");
		v = !parse_unary(x);
		x->out->field = NULL;
	} else if (take(x, "-")) {
		v = (int64_t)(0 - (uint64_t)parse_unary(x));
		x->out->field = NULL;
	} else {
		v = parse_primary(x);
	}
	x->depth--;
	return v;
}

static int64_t parse_product(struct expr *x)
{
	uint64_t v = (uint64_t)parse_unary(x);

	while (x->error == NULL) {
		int64_t w;

		if (take(x, "*")) {
			v *= (uint64_t)parse_unary(x);
		} else if (take(x, "/")) {
			w = parse_unary(x);
			if (w == 0) {
				return fail(x, "%s", "a division by zero");
			}
			v = w == -1 ? 0 - v : (uint64_t)((int64_t)v / w);
		} else {
			break;
		}
		x->out->field = NULL;
	}
	return (int64_t)v;
}

static int64_t parse_sum(struct expr *x)
{
	uint64_t v = (uint64_t)parse_product(x);

	while (x->error == NULL) {
		if (take(x, "+")) {
			v += (uint64_t)parse_product(x);
		} else if (take(x, "-")) {
			v -= (uint64_t)parse_product(x);
		} else {
			break;
		}
		x->out->field = NULL;
	}
	return (int64_t)v;
}

static int64_t parse_compare(struct expr *x)
{
	static const char *const signs[] = {"==", "!=", "<=", ">=", "=<", "<", ">"};
	int64_t v = parse_sum(x), w;

	for (unsigned i = 0; i < sizeof signs / sizeof signs[0] && x->error == NULL; i++) {
		if (!take(x, signs[i])) {
			continue;
		}
		w = parse_sum(x);
		x->out->field = NULL;
		switch (i) {
		case 0: return v == w;
		case 1: return v != w;
		case 2:
		case 4: return v <= w;
		case 3: return v >= w;
		case 5: return v < w;
		default: return v > w;
		}
	}
	return v;
}

static int64_t parse_and(struct expr *x)
{
	int64_t v = parse_compare(x);

	while (x->error == NULL && take(x, "&&")) {
		int64_t w = parse_compare(x);

		v = v && w;
	}
	return v;
}

static int64_t parse_or(struct expr *x)
{
	int64_t v = parse_and(x);

	while (x->error == NULL && take(x, "||")) {
		int64_t w = parse_and(x);

		v = v || w;
	}
	return v;
}

bool expr_eval(struct repl *r, const char *text, struct expr_result *out, const char **error)
{
	struct expr x = {.r = r, .at = text, .known = true, .out = out};

	memset(out, 0, sizeof *out);
	out->value = parse_or(&x);
	blanks(&x);
	if (x.error == NULL && *x.at != '\0') {
		fail(&x, "what is \"%s\" to mean there?", x.at);
	}
	out->known = x.known;
	out->state = out->field != NULL && out->tcb_field == TG_TCB_STATE ? (int)out->value : -1;
	if (x.error != NULL) {
		memcpy(last_message, x.message, sizeof last_message);
		*error = last_message;
		return false;
	}
	return true;
}

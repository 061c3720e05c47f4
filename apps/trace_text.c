/* An event log as lines of text, as a table of comma-separated values (RFC 4180, but lines end as
 * they do here), and as a ladder: the peer left, the stack right. */
#include "trace.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ARROW_COLUMNS 56

struct lines {
	struct trace_flows flows;
	unsigned flow; /* whose ladder is being drawn; 0: none */
};

void trace_print(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++) {
		if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7f) {
			*c = '?';
		}
	}
	fputs(text, stdout);
}

static bool lines_begin(void **state)
{
	struct lines *l = calloc(1, sizeof *l);

	*state = l;
	return l != NULL && trace_flows_open(&l->flows);
}

static void lines_end(void *state)
{
	struct lines *l = state;

	if (l != NULL) {
		trace_flows_close(&l->flows);
	}
	free(l);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names != NULL && strcmp(*names, name) != 0) {
		names++;
	}
	return *names != NULL;
}

/* " opts=<mss,sack>" */
static void words_print(const char *name, struct json_object *v)
{
	trace_print(" %s=<", name);
	for (size_t i = 0; i < json_object_array_length(v); i++) {
		struct json_object *word = json_object_array_get_idx(v, i);

		trace_print("%s%s", i > 0 ? "," : "",
			json_object_is_type(word, json_type_string) ? json_object_get_string(word)
								    : "?");
	}
	trace_print(">");
}

/* The data's fields but those that were told already. */
static void fields_print(const struct trace_event *e, const char *const *told)
{
	struct json_object_iterator i = json_object_iter_begin(e->data),
				    end = json_object_iter_end(e->data);

	for (; !json_object_iter_equal(&i, &end); json_object_iter_next(&i)) {
		const char *name = json_object_iter_peek_name(&i);
		struct json_object *v = json_object_iter_peek_value(&i);

		if (is_one_of(name, told)) {
			continue;
		}
		if (json_object_is_type(v, json_type_array)) {
			words_print(name, v);
			continue;
		}
		trace_print(" %s=%s", name,
			json_object_is_type(v, json_type_string)
				? json_object_get_string(v)
				: json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN));
	}
}

/* "  (9293 3.10.1)" */
static void clause_print(const struct trace_event *e)
{
	const char *clause = trace_text(e, "clause");

	if (clause[0] != '\0' && strcmp(clause, "-") != 0) {
		trace_print("  (%s)", clause);
	}
}

static void text_event(void *state, const struct trace_event *e)
{
	static const char *const told[] = {"conn", "port", "peer", "peer_port", "clause", "seq",
		"ack", "len", "wnd", "flags", "old", "new", NULL};
	static const char *const told_below[] = {"clause", NULL};
	struct lines *l = state;
	struct trace_flow *f = trace_flow_of(&l->flows, e);
	char segment[128];

	trace_print("%13.6f  %-20s ", e->time_ms / 1000, e->name);
	if (f == NULL) {
		fields_print(e, told_below);
	} else {
		trace_print(" %s -> :%u ", f->peer, (unsigned)f->port);
		if (trace_is_segment(e)) {
			trace_segment_text(f, e, segment, sizeof segment);
			trace_print(" %s", segment);
		} else if (trace_has(e, "new")) {
			trace_print(" %s -> %s", trace_text(e, "old"), trace_text(e, "new"));
		} else if (trace_has(e, "len")) {
			trace_print(" len=%lld", (long long)trace_number(e, "len"));
		}
		fields_print(e, told);
	}
	clause_print(e);
	trace_print("\n");
}

const struct trace_form trace_form_text = {lines_begin, text_event, lines_end};

/* ---- CSV ------------------------------------------------------------------------------------- */

static const char *const columns[] = {"conn", "port", "peer", "peer_port", "seq", "ack", "len",
	"wnd", "flags", "opts", "again", "frame", "old", "new", "trigger", "cause", "text",
	"clause", "timer", "rto_ms", "backoff", "how", "why", "srtt", "rttvar", "min_rtt", "rto",
	"cwnd", "ssthresh", "inflight", "snd_wnd", "rcv_wnd", "fn", "calls", "result", "op",
	"address", "type", "code", "id", "what", "direction", "n"};
#define COLUMNS (sizeof columns / sizeof columns[0])

static bool csv_begin(void **state)
{
	*state = NULL;
	fputs("time,name", stdout);
	for (size_t i = 0; i < COLUMNS; i++) {
		printf(",%s", columns[i]);
	}
	putchar('\n');
	return true;
}

static void csv_text(const char *s)
{
	if (strpbrk(s, ",\"\r\n") == NULL) {
		fputs(s, stdout);
		return;
	}
	putchar('"');
	for (; *s != '\0'; s++) {
		if (*s == '"') {
			putchar('"');
		}
		putchar(*s);
	}
	putchar('"');
}

/* Lists have blanks between their words. */
static void csv_value(struct json_object *v)
{
	if (!json_object_is_type(v, json_type_array)) {
		csv_text(json_object_is_type(v, json_type_null) ? "" : json_object_get_string(v));
		return;
	}
	for (size_t i = 0; i < json_object_array_length(v); i++) {
		struct json_object *word = json_object_array_get_idx(v, i);

		fputs(i > 0 ? " " : "", stdout);
		csv_text(json_object_is_type(word, json_type_string) ? json_object_get_string(word)
								     : "");
	}
}

static void csv_event(void *state, const struct trace_event *e)
{
	struct json_object *v;

	(void)state;
	printf("%.6f,", e->time_ms);
	csv_text(e->name);
	for (size_t i = 0; i < COLUMNS; i++) {
		putchar(',');
		if (json_object_object_get_ex(e->data, columns[i], &v)) {
			csv_value(v);
		}
	}
	putchar('\n');
}

static void csv_end(void *state)
{
	(void)state;
}

const struct trace_form trace_form_csv = {csv_begin, csv_event, csv_end};

/* ---- Ladder ---------------------------------------------------------------------------------- */

/* |-- text ------>|, |<------ text --|, |-- text ----X | */
static void arrow_print(const char *text, bool out, bool dropped)
{
	int rest = ARROW_COLUMNS - 6 - (int)strlen(text);
	char dashes[ARROW_COLUMNS + 1];

	rest = rest > 1 ? rest : 1;
	memset(dashes, '-', sizeof dashes);
	if (out) {
		trace_print("|<%.*s %s --|", rest, dashes, text);
	} else {
		trace_print("|-- %s %.*s%s|", text, rest, dashes, dropped ? "X" : ">");
	}
}

/* Beside the stack's line. */
static void aside_print(const struct trace_event *e, const char *what)
{
	trace_print("%13.6f  |%*s|  %s", e->time_ms / 1000, ARROW_COLUMNS - 2, "", what);
}

static void ladder_segment(struct trace_flow *f, const struct trace_event *e)
{
	bool out = strcmp(e->name, "tcp:segment_sent") == 0;
	bool dropped = strcmp(e->name, "tcp:segment_dropped") == 0;
	int64_t frame = trace_number(e, "frame");
	char text[128];

	if (dropped && frame != 0 && frame == f->frame) { /* its arrow is there already */
		aside_print(e, "dropped: ");
	} else {
		trace_segment_text(f, e, text, sizeof text);
		trace_print("%13.6f  ", e->time_ms / 1000);
		arrow_print(text, out, dropped);
		trace_print(dropped ? "  dropped: " : trace_has(e, "again") ? "  again: " : "");
	}
	trace_print("%s", dropped ? trace_text(e, "text") : trace_text(e, "again"));
	clause_print(e);
	trace_print("\n");
	f->frame = out ? f->frame : frame;
}

static void ladder_aside(const struct trace_event *e)
{
	const char *what = e->name + 4;
	char text[200];

	if (strcmp(what, "state_changed") == 0) {
		snprintf(text, sizeof text, "%.20s -> %.20s: %.60s", trace_text(e, "old"),
			trace_text(e, "new"), trace_text(e, "trigger"));
	} else if (strncmp(what, "timer_", 6) == 0) {
		snprintf(text, sizeof text, "%.20s timer %.20s", trace_text(e, "timer"), what + 6);
	} else if (strcmp(what, "loss_detected") == 0) {
		snprintf(text, sizeof text, "loss noticed: %.20s, cwnd %lld", trace_text(e, "how"),
			(long long)trace_number(e, "cwnd"));
	} else if (strcmp(what, "call") == 0) {
		bool several = trace_number(e, "calls") > 1;

		snprintf(text, sizeof text, "%.20s() %s %lld%s", trace_text(e, "fn"),
			several ? "several times:" : "=",
			(long long)trace_number(e, several ? "len" : "result"),
			several ? " bytes" : "");
	} else {
		return; /* measures have no place here */
	}
	aside_print(e, text);
	clause_print(e);
	trace_print("\n");
}

static void ladder_event(void *state, const struct trace_event *e)
{
	struct lines *l = state;
	struct trace_flow *f = trace_flow_of(&l->flows, e);

	if (strcmp(e->name, "log:gap") == 0) {
		trace_print("%13.6f  ... %lld events are missing ...\n", e->time_ms / 1000,
			(long long)trace_number(e, "n"));
	}
	if (f == NULL || strcmp(e->name, "tcp:metrics_updated") == 0) {
		return;
	}
	if (f->number != l->flow) {
		trace_print("\n%13s  %-*s stack:%u\n", "", ARROW_COLUMNS - 12, f->peer,
			(unsigned)f->port);
		l->flow = f->number;
	}
	if (trace_is_segment(e)) {
		ladder_segment(f, e);
	} else {
		ladder_aside(e);
	}
}

const struct trace_form trace_form_ladder = {lines_begin, ladder_event, lines_end};

/* An event log in the trace event format that Perfetto and Chrome read: a track for each connection
 * at both ends, its states as slices, windows as counters, each segment as a flow from one end's
 * track to the other's, everything else as instants. The log knows one end's times only: a segment
 * is drawn at that moment at both. */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

enum { PID_STACK = 1, PID_PEERS = 2 };
#define SEGMENT_US 1.0 /* what a segment is drawn as long as */

struct perfetto {
	struct trace_flows flows;
	unsigned named; /* flows that have names */
	uint64_t segments;
	double last_ms;
	bool any;
};

static struct json_object *item_new(
	const char *ph, const char *name, double us, int pid, unsigned tid)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "ph", json_object_new_string(ph));
	json_object_object_add(o, "name", json_object_new_string(name));
	json_object_object_add(o, "ts", json_object_new_double(us));
	json_object_object_add(o, "pid", json_object_new_int(pid));
	json_object_object_add(o, "tid", json_object_new_uint64(tid));
	return o;
}

static void add_text(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, json_object_new_string(text));
}

/* Prints and frees. */
static void item_print(struct perfetto *p, struct json_object *o)
{
	fputs(p->any ? ",\n" : "\n", stdout);
	fputs(json_object_to_json_string_ext(
		      o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
		stdout);
	json_object_put(o);
	p->any = true;
}

static void track_name(
	struct perfetto *p, const char *what, int pid, unsigned tid, const char *name)
{
	struct json_object *o = item_new("M", what, 0, pid, tid), *args = json_object_new_object();

	add_text(args, "name", name);
	json_object_object_add(o, "args", args);
	item_print(p, o);
}

static bool perfetto_begin(void **state)
{
	struct perfetto *p = calloc(1, sizeof *p);

	*state = p;
	if (p == NULL || !trace_flows_open(&p->flows)) {
		return false;
	}
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", stdout);
	track_name(p, "process_name", PID_STACK, 0, "stack");
	track_name(p, "process_name", PID_PEERS, 0, "peers");
	return true;
}

static void flow_name(struct perfetto *p, const struct trace_flow *f)
{
	char name[96];

	if (f->number > p->named) {
		p->named = f->number;
		snprintf(name, sizeof name, "%s - :%u", f->peer, (unsigned)f->port);
		track_name(p, "thread_name", PID_STACK, f->number, name);
		track_name(p, "thread_name", PID_PEERS, f->number, name);
	}
}

/* The state that ends now, as a slice. */
static void state_print(struct perfetto *p, const struct trace_flow *f, double until_ms)
{
	struct json_object *o;

	if (f->state[0] == '\0' || strcmp(f->state, "CLOSED") == 0) {
		return;
	}
	o = item_new("X", f->state, f->since_ms * 1000, PID_STACK, f->number);
	json_object_object_add(o, "dur", json_object_new_double((until_ms - f->since_ms) * 1000));
	add_text(o, "cat", "state");
	item_print(p, o);
}

static void state_move(struct perfetto *p, struct trace_flow *f, const struct trace_event *e)
{
	if (f->state[0] == '\0') { /* it was there before the log began */
		snprintf(f->state, sizeof f->state, "%s", trace_text(e, "old"));
		f->since_ms = e->time_ms;
	}
	state_print(p, f, e->time_ms);
	snprintf(f->state, sizeof f->state, "%s", trace_text(e, "new"));
	f->since_ms = e->time_ms;
}

/* One end of a segment: a short slice, and the flow's beginning or end. */
static void segment_end(struct perfetto *p, const struct trace_flow *f, const struct trace_event *e,
	const char *name, bool sender, bool at_stack)
{
	int pid = at_stack ? PID_STACK : PID_PEERS;
	double us = e->time_ms * 1000;
	struct json_object *o = item_new("X", name, us, pid, f->number);

	json_object_object_add(o, "dur", json_object_new_double(SEGMENT_US));
	add_text(o, "cat", "segment");
	json_object_object_add(o, "args", json_object_get(e->data));
	item_print(p, o);
	o = item_new(sender ? "s" : "f", "segment", us, pid, f->number);
	add_text(o, "cat", "segment");
	json_object_object_add(o, "id", json_object_new_uint64(p->segments));
	if (!sender) {
		add_text(o, "bp", "e");
	}
	item_print(p, o);
}

static void segment_print(
	struct perfetto *p, const struct trace_flow *f, const struct trace_event *e)
{
	bool out = strcmp(e->name, "tcp:segment_sent") == 0;
	char name[128];

	trace_segment_text(f, e, name, sizeof name);
	p->segments++;
	segment_end(p, f, e, name, true, out);
	segment_end(p, f, e, name, false, !out);
}

/* cwnd and the like. */
static void counters_print(
	struct perfetto *p, const struct trace_flow *f, const struct trace_event *e)
{
	static const char *const fields[] = {"cwnd", "ssthresh", "inflight", "snd_wnd", "rcv_wnd"};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct json_object *o, *args;
		char name[96];

		if (!trace_has(e, fields[i])) {
			continue;
		}
		snprintf(name, sizeof name, "%s %s", fields[i], f->peer);
		o = item_new("C", name, e->time_ms * 1000, PID_STACK, f->number);
		args = json_object_new_object();
		json_object_object_add(
			args, "bytes", json_object_new_int64(trace_number(e, fields[i])));
		json_object_object_add(o, "args", args);
		item_print(p, o);
	}
}

static void instant_print(
	struct perfetto *p, const struct trace_flow *f, const struct trace_event *e)
{
	struct json_object *o =
		item_new("i", e->name, e->time_ms * 1000, PID_STACK, f != NULL ? f->number : 0);

	add_text(o, "s", f != NULL ? "t" : "p");
	json_object_object_add(o, "args", json_object_get(e->data));
	item_print(p, o);
}

static void perfetto_event(void *state, const struct trace_event *e)
{
	struct perfetto *p = state;
	struct trace_flow *f = trace_flow_of(&p->flows, e);
	bool metrics = strcmp(e->name, "tcp:metrics_updated") == 0;

	p->last_ms = e->time_ms;
	if (f == NULL) {
		instant_print(p, NULL, e);
		return;
	}
	flow_name(p, f);
	if (strcmp(e->name, "tcp:segment_sent") == 0 ||
		strcmp(e->name, "tcp:segment_received") == 0) {
		segment_print(p, f, e);
		return;
	}
	if (strcmp(e->name, "tcp:state_changed") == 0) {
		state_move(p, f, e);
	}
	if (metrics || strcmp(e->name, "tcp:loss_detected") == 0) {
		counters_print(p, f, e);
	}
	if (!metrics || trace_has(e, "why")) {
		instant_print(p, f, e);
	}
}

static void perfetto_end(void *state)
{
	struct perfetto *p = state;
	struct lh_entry *entry;

	if (p == NULL) {
		return;
	}
	if (p->flows.table != NULL) {
		lh_foreach(p->flows.table, entry)
		{
			state_print(p, lh_entry_v(entry), p->last_ms);
		}
	}
	trace_flows_close(&p->flows);
	free(p);
	fputs("\n]}\n", stdout);
}

const struct trace_form trace_form_perfetto = {perfetto_begin, perfetto_event, perfetto_end};

/* The flows in an event log, and segments in packetdrill's notation. */
#define _GNU_SOURCE 1
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/linkhash.h>

static void entry_free(struct lh_entry *e)
{
	free(lh_entry_k(e));
	free(lh_entry_v(e));
}

bool trace_flows_open(struct trace_flows *t)
{
	t->n = 0;
	t->table = lh_kchar_table_new(64, entry_free);
	return t->table != NULL;
}

void trace_flows_close(struct trace_flows *t)
{
	if (t->table != NULL) {
		lh_table_free(t->table);
	}
}

bool trace_is_segment(const struct trace_event *e)
{
	return strncmp(e->name, "tcp:segment_", 12) == 0;
}

static struct trace_flow *flow_new(
	struct trace_flows *t, const char *key, const struct trace_event *e)
{
	struct trace_flow *f = calloc(1, sizeof *f);
	char *own = strdup(key);

	if (f == NULL || own == NULL || lh_table_insert(t->table, own, f) != 0) {
		free(f);
		free(own);
		return NULL;
	}
	f->number = ++t->n;
	f->port = (uint16_t)trace_number(e, "port");
	snprintf(f->peer, sizeof f->peer, "%.45s:%u", trace_text(e, "peer"),
		(unsigned)(uint16_t)trace_number(e, "peer_port"));
	return f;
}

struct trace_flow *trace_flow_of(struct trace_flows *t, const struct trace_event *e)
{
	struct trace_flow *f = NULL;
	uint32_t seq = (uint32_t)trace_number(e, "seq");
	struct lh_entry *entry;
	char key[80];

	if (strncmp(e->name, "tcp:", 4) != 0 || !trace_has(e, "peer")) {
		return NULL;
	}
	snprintf(key, sizeof key, "%u %.45s %u", (unsigned)(uint16_t)trace_number(e, "port"),
		trace_text(e, "peer"), (unsigned)(uint16_t)trace_number(e, "peer_port"));
	entry = lh_table_lookup_entry(t->table, key);
	f = entry != NULL ? lh_entry_v(entry) : flow_new(t, key, e);
	if (f != NULL && trace_is_segment(e) && trace_flag(e, "syn")) {
		if (strcmp(e->name, "tcp:segment_sent") == 0) {
			f->has_in = f->has_in && trace_flag(e, "ack");
			f->has_out = true;
			f->out_isn = seq;
		} else if (strcmp(e->name, "tcp:segment_received") == 0) {
			f->has_out = f->has_out && trace_flag(e, "ack");
			f->has_in = true;
			f->in_isn = seq;
		}
	}
	return f;
}

void trace_segment_text(
	const struct trace_flow *f, const struct trace_event *e, char *buf, size_t n)
{
	static const struct {
		const char *name;
		char letter;
	} flags[] = {{"fin", 'F'}, {"syn", 'S'}, {"rst", 'R'}, {"psh", 'P'}, {"ece", 'E'},
		{"cwr", 'W'}, {"urg", 'U'}, {"ack", '.'}};
	bool out = strcmp(e->name, "tcp:segment_sent") == 0;
	uint32_t seq = (uint32_t)trace_number(e, "seq"), ack = (uint32_t)trace_number(e, "ack"),
		 len = (uint32_t)trace_number(e, "len");
	char letters[sizeof flags / sizeof flags[0] + 1], acked[24] = "";
	size_t k = 0;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		if (trace_flag(e, flags[i].name)) {
			letters[k++] = flags[i].letter;
		}
	}
	letters[k] = '\0';
	if (out ? f->has_out : f->has_in) {
		seq -= out ? f->out_isn : f->in_isn;
	}
	if (out ? f->has_in : f->has_out) {
		ack -= out ? f->in_isn : f->out_isn;
	}
	if (trace_flag(e, "ack")) {
		snprintf(acked, sizeof acked, " ack %u", ack);
	}
	snprintf(buf, n, "%s %u:%u(%u)%s win %u", k > 0 ? letters : "-", seq, seq + len, len, acked,
		(unsigned)(uint32_t)trace_number(e, "wnd"));
}
